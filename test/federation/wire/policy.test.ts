// What one round may ask for, by the policy and by the plan.

import { describe, expect, it } from 'vitest';
import { DEFAULT_POLICY, requireRound } from '../../../worker/participant/policy.js';

const members = Array.from({ length: 6 }, (_, n) => ({
  name: `m${n}`,
  identityKey: new Uint8Array(32).fill(n),
}));
const ROUND = { rounds: 3, bytes: 1000, members, cohortMin: 5 };
const named = Object.fromEntries(
  members.map(({ name, identityKey }) => [name, Buffer.from(identityKey).toString('hex')]),
);

describe('a round', () => {
  it('within policy and plan is taken part in', () => {
    expect(() => requireRound(ROUND, DEFAULT_POLICY)).not.toThrow();
    expect(() => requireRound(ROUND, { ...DEFAULT_POLICY, members: named, rounds_max: 3 })).not.toThrow();
  });

  it.each([
    ['one more than the policy allows', {}, { rounds_max: 2 }, 'rounds_max'],
    ['that sends more than it allows', {}, { upload_bytes_max: 999 }, 'upload_bytes_max'],
    ['of fewer than the policy allows', {}, { cohort_min: 7 }, 'a sum is of 7 participants at least'],
    ['of fewer than the plan says, by which noise is shared out', { cohortMin: 7 }, {}, 'of 7 participants'],
    ['with a member that is not named', {}, { members: { m0: named['m0']! } }, 'm1 is not among them'],
    [
      'with a member under another key',
      {},
      { members: { ...named, m3: named['m4']! } },
      'm3 is not among them',
    ],
  ])('%s is refused', (_, round, policy, message) => {
    expect(() => requireRound({ ...ROUND, ...round }, { ...DEFAULT_POLICY, ...policy })).toThrow(message);
  });
});
