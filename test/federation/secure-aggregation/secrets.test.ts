// Secrets are overwritten once they are not needed, however a round ends, and bytes are compared in constant time.

import { describe, expect, it, vi } from 'vitest';
import type { Mask } from '../../../federation/secure-aggregation/mask-stream.js';
import type { SharePair } from '../../../federation/secure-aggregation/sealed-shares.js';
import { equalBytes } from '../../../federation/secure-aggregation/secrets.js';
import type { SumParticipant } from '../../../federation/secure-aggregation/sum-participant.js';
import { codeOf, sourceFiles } from '../../house/source-files.js';
import { VirtualCohort } from './virtual-cohort.js';

/** Every buffer that held a secret: seen where it passes, never copied. */
const seen = vi.hoisted(() => ({
  random: [] as Uint8Array[],
  masks: [] as Uint8Array[],
  shares: [] as Uint8Array[],
}));

vi.mock('../../../federation/secure-aggregation/mask-stream.js', async (original) => {
  const real = await original<typeof import('../../../federation/secure-aggregation/mask-stream.js')>();
  const applyMask = (words: BigUint64Array, wordStart: number, mask: Mask) => {
    seen.masks.push(mask.key);
    real.applyMask(words, wordStart, mask);
  };
  return { ...real, applyMask };
});

vi.mock('../../../federation/secure-aggregation/sealed-shares.js', async (original) => {
  const real = await original<typeof import('../../../federation/secure-aggregation/sealed-shares.js')>();
  const note = (pair: SharePair | undefined) => {
    if (pair !== undefined) seen.shares.push(pair.maskKey, pair.seed);
  };
  return {
    ...real,
    sealShares: (...args: Parameters<typeof real.sealShares>) => {
      seen.masks.push(args[0]);
      note(args[1]);
      return real.sealShares(...args);
    },
    openShares: (...args: Parameters<typeof real.openShares>) => {
      const pair = real.openShares(...args);
      note(pair);
      return pair;
    },
  };
});

function freshCohort(): VirtualCohort {
  seen.random.length = 0;
  seen.masks.length = 0;
  seen.shares.length = 0;
  return new VirtualCohort({ count: 7, length: 9, watchRandom: (bytes) => seen.random.push(bytes) });
}

function expectNothingLeft(atLeast: { random: number; masks: number; shares: number }): void {
  for (const kind of ['random', 'masks', 'shares'] as const) {
    expect(seen[kind].length, kind).toBeGreaterThanOrEqual(atLeast[kind]);
    expect(
      seen[kind].filter((bytes) => bytes.some((byte) => byte !== 0)),
      kind,
    ).toEqual([]);
  }
}

describe('the secrets of a round', () => {
  it('are all overwritten when it is done', () => {
    const cohort = freshCohort();
    expect(cohort.run({ masked: [6] })).toEqual(cohort.sumOf([0, 1, 2, 3, 4, 5]));
    // Member 6 fell silent with its words unsent: its operator ends it.
    cohort.participants[6]!.leave();
    expectNothingLeft({ random: 7 * (3 + 2 * 4), masks: 6 * 7 + 7 * 6, shares: 2 * 7 * 6 });
  });

  it.each<[string, (cohort: VirtualCohort) => void]>([
    [
      'leaves before it shares',
      (cohort) => {
        cohort.advertise();
      },
    ],
    [
      'leaves with shares of others in hand',
      (cohort) => {
        const delivered = cohort.step('shares', cohort.advertise());
        for (const [member, message] of delivered) cohort.participants[member]!.receive(message);
      },
    ],
    [
      'leaves in the middle of its words',
      (cohort) => {
        const delivered = cohort.step('shares', cohort.advertise());
        for (const [member, message] of delivered) {
          cohort.participants[member]!.receive(message);
          cohort.participants[member]!.mask(new Float64Array(4));
        }
      },
    ],
    [
      'leaves after it signed',
      (cohort) => {
        cohort.step('signature', cohort.step('masked', cohort.step('shares', cohort.advertise())));
      },
    ],
  ])('are all overwritten when a participant %s', (_, go) => {
    const cohort = freshCohort();
    go(cohort);
    const all = [...seen.random, ...seen.masks, ...seen.shares];
    expect(all.some((bytes) => bytes.some((byte) => byte !== 0))).toBe(true);
    for (const participant of cohort.participants) participant.leave();
    expectNothingLeft({ random: 14, masks: 0, shares: 0 });
  });

  it('are all overwritten when a participant refuses', () => {
    const cohort = freshCohort();
    const delivered = cohort.step('shares', cohort.advertise());
    for (const [member, message] of delivered) {
      const participant: SumParticipant = cohort.participants[member]!;
      expect(() => participant.receive({ ...message, round: 9n })).toThrow('a message of round 9');
    }
    expectNothingLeft({ random: 7 * (3 + 2 * 4), masks: 7 * 6, shares: 2 * 7 * 6 });
  });

  it('that a server uncovered are overwritten when the sum is taken, and when the round is aborted', () => {
    for (const end of ['taken', 'aborted']) {
      const cohort = freshCohort();
      const signed = cohort.step('masked', cohort.step('shares', cohort.advertise()), { masked: [6] });
      const asked = cohort.step('signature', signed);
      cohort.step('unmask-shares', asked);
      const shares = cohort.received.flatMap((message) =>
        message.type === 'unmask-shares' ? [...message.seedShares, ...message.maskKeyShares] : [],
      );
      expect(shares.length).toBe(6 * 7);
      expect(shares.every(({ share }) => share.some((byte) => byte !== 0))).toBe(true);
      if (end === 'taken') cohort.takeSum();
      else cohort.server.abort();
      expect(shares.every(({ share }) => share.every((byte) => byte === 0))).toBe(true);
      cohort.participants[6]!.leave();
      expectNothingLeft({ random: 0, masks: 0, shares: 0 });
    }
  });
});

describe('the comparison of bytes', () => {
  it('tells equal from unequal, of any length', () => {
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0))).toBe(false);
  });

  it('is the only one: it rests on timingSafeEqual, and nothing else compares bytes', () => {
    const files = sourceFiles(['federation/secure-aggregation']);
    expect(files.length).toBeGreaterThan(10);
    const COMPARES =
      /\.equals\(|\.compare\(|timingSafeEqual|\b\w*(?:secret|seed|share|key)(?:\[[^\]]*\])?!? [!=]==/i;
    const found = files.filter(({ code }) => COMPARES.test(code)).map(({ name }) => name);
    expect(found).toEqual(['federation/secure-aggregation/secrets.ts']);
    expect(COMPARES.test(codeOf('if (seed[n]! === other[n]!) return;'))).toBe(true);
    expect(COMPARES.test(codeOf('return Buffer.compare(a, b) === 0;'))).toBe(true);
  });

  it('holds numbers out of the masks: words are added as 64-bit words only', () => {
    const [masks] = sourceFiles(['federation/secure-aggregation']).filter(({ name }) =>
      name.endsWith('mask-stream.ts'),
    );
    expect(masks!.code).not.toMatch(/\bNumber\(|Float64|parseInt|asIntN|asUintN/);
  });
});
