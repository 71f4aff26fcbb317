// What a participant's policy forbids never leaves, and what a coordinator is sent by the wrong one does not count.

import { generateKeyPairSync, sign } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { StoaError } from '../../../common/errors.js';
import type { Admission } from '../../../coordinator/federation/admission.js';
import { verifyAudit } from '../../../federation/audit/audit-log.js';
import { parseFederatedPlan } from '../../../federation/protocol/federated-plan.js';
import { joinStatement } from '../../../federation/protocol/join-statement.js';
import type { NextTaskResponse__Output } from '../../../proto/generated/stoa/federation/v1/NextTaskResponse.js';
import { FederationLink } from '../../../worker/participant/federation-link.js';
import { DEFAULT_POLICY, readPolicy } from '../../../worker/participant/policy.js';
import { dataOf, ITEMS, nameOf, PLAN, RunningFederation } from './running-federation.js';

let running: RunningFederation;
let link: FederationLink | undefined;
afterEach(async () => {
  link?.close();
  link = undefined;
  await running?.close();
});

const signal = new AbortController().signal;

interface Stranger {
  link: FederationLink;
  name: string;
  identityKey: Uint8Array;
  header: (
    nonce: Uint8Array,
    session: Uint8Array,
    over?: { name?: string },
  ) => Parameters<FederationLink['join']>[0];
}

/** Somebody who speaks the protocol by hand. */
function stranger(name: string): Stranger {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const identityKey = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
  const opened = new FederationLink(running.federation.address, {});
  link?.close();
  link = opened;
  return {
    link: opened,
    name,
    identityKey,
    header: (nonce, session, over = {}) => ({
      name: over.name ?? name,
      identityKey,
      nonce,
      signature: sign(null, joinStatement({ nonce, session, name, identityKey }), privateKey),
    }),
  };
}

async function enter(one: Stranger): Promise<void> {
  const { terms, nonce } = await one.link.terms(signal);
  await one.link.join(one.header(nonce, terms!.session), ['i0000001'], signal);
}

async function nextStep(one: Stranger): Promise<NonNullable<NextTaskResponse__Output['step']>> {
  for (;;) {
    const { step } = await one.link.nextTask(signal);
    if (step) return step;
  }
}

const coded = (code: string) => expect.objectContaining({ code });

describe('a participant', () => {
  it.each([
    ['a run without masks', PLAN, {}, 'STOA_ROUND_REFUSED', 'require_masking'],
    [
      'sums of too few',
      { ...PLAN, isMasked: true, cohortMin: 3 },
      {},
      'STOA_COHORT_TOO_SMALL',
      'cohort_min is 5',
    ],
    [
      'a run without privacy where it wants it',
      { ...PLAN, isMasked: true },
      { require_privacy: true },
      'STOA_ROUND_REFUSED',
      'adds no noise',
    ],
    [
      'an ε above its own',
      {
        ...PLAN,
        isMasked: true,
        privacy: {
          epsilon: 3,
          delta: 1e-6,
          adjacency: 'add-remove' as const,
          rowsMax: 1,
          rowNormMax: 1,
          honestMin: 5,
        },
      },
      { epsilon_run_max: 2 },
      'STOA_BUDGET',
      'epsilon_run_max is 2 and the run asks for 3',
    ],
  ])('refuses %s before it joins: nothing has left', async (_, plan, policy, code, why) => {
    running = await RunningFederation.start(plan, 5);
    const refused = running.participate(nameOf(0), dataOf(5).parts[0]!, {
      policy: { ...DEFAULT_POLICY, ...policy },
    });
    await expect(refused).rejects.toEqual(coded(code));
    await expect(refused).rejects.toThrow(why);
    const { entries } = await verifyAudit(path.join(running.dir, nameOf(0), 'audit')).catch(() => ({
      entries: [],
    }));
    expect(entries).toEqual([]);
  });

  it('refuses a round with a member that its policy does not name, says so, and stops', async () => {
    running = await RunningFederation.start({ ...PLAN, isMasked: true }, 5);
    const policy = { ...DEFAULT_POLICY, members: { [nameOf(0)]: 'ab'.repeat(32) } };
    const [first, ...others] = dataOf(5).parts.map((data, n) =>
      running.participate(nameOf(n), data, { policy: n === 0 ? policy : DEFAULT_POLICY }),
    );
    for (const other of others) other.catch(() => {});
    await expect(first).rejects.toThrow("the policy's members forbids it: institution-1");
    const { entries } = await verifyAudit(path.join(running.dir, nameOf(0), 'audit'));
    expect(entries.map(({ message }) => message)).toEqual(['name, public key, and the names of the items']);
    running.federation.stop('the test is over');
    await Promise.allSettled(others);
  });

  it('sends nothing once its audit log is damaged', async () => {
    running = await RunningFederation.start({ ...PLAN, cohortMin: 1 }, 1);
    const policy = { ...DEFAULT_POLICY, require_masking: false, cohort_min: 1 };
    await running.participate('one', dataOf(1).all, { policy });
    const file = path.join(running.dir, 'one', 'audit', 'audit.jsonl');
    await writeFile(file, (await readFile(file, 'utf8')).replace('masks', 'mosks'));
    await expect(running.participate('one', dataOf(1).all, { policy })).rejects.toEqual(
      coded('STOA_AUDIT_DAMAGED'),
    );
  });

  it('refuses a policy with a key that is none, and names the nearest', async () => {
    running = await RunningFederation.start(PLAN, 5);
    const file = path.join(running.dir, 'policy.yaml');
    await writeFile(file, 'cohort_mim: 4\n');
    await expect(readPolicy(file)).rejects.toThrow('unknown key "cohort_mim"; did you mean "cohort_min"?');
    await writeFile(file, 'cohort_min: 7\nepsilon_max: 3\n');
    expect(await readPolicy(file)).toEqual({ ...DEFAULT_POLICY, cohort_min: 7, epsilon_max: 3 });
  });
});

describe('a coordinator', () => {
  it('takes in nobody whose signature is not of its key, name and a fresh nonce', async () => {
    running = await RunningFederation.start(PLAN, 5);
    const one = stranger('one');
    const { terms, nonce } = await one.link.terms(signal);
    const { session } = terms!;
    const join = (header: Parameters<FederationLink['join']>[0]) => one.link.join(header, ['a'], signal);
    await expect(join(one.header(nonce, session, { name: 'two' }))).rejects.toThrow('does not fit its key');
    // The nonce is used up, whatever came of it.
    await expect(join(one.header(nonce, session))).rejects.toThrow(
      'a nonce that was not given out, was used',
    );
    const fresh = async () => (await one.link.terms(signal)).nonce;
    await expect(join(one.header(await fresh(), new Uint8Array(16)))).rejects.toThrow('does not fit its key');
    await expect(join({ ...one.header(await fresh(), session), name: '../x' })).rejects.toThrow('no name');
    await join(one.header(await fresh(), session));
    const thief = stranger('one');
    const { nonce: another } = await thief.link.terms(signal);
    await expect(thief.link.join(thief.header(another, session), ['a'], signal)).rejects.toThrow(
      'the name one belongs to another key',
    );
  });

  it('asks whoever is responsible who may join', async () => {
    const admission: Admission = {
      admit: ({ name }) => {
        if (name !== 'member') throw new StoaError('STOA_ACCESS', `${name} is no member`);
      },
    };
    running = await RunningFederation.start(PLAN, 5, { admission });
    await enter(stranger('member'));
    await expect(enter(stranger('other'))).rejects.toThrow('other is no member');
  });

  it('answers a token of nobody with STOA_SESSION_OVER', async () => {
    running = await RunningFederation.start(PLAN, 5);
    await expect(stranger('one').link.nextTask(signal)).rejects.toEqual(coded('STOA_SESSION_OVER'));
  });

  it('takes no delivery of the wrong length, of NaN, or twice', async () => {
    running = await RunningFederation.start({ ...PLAN, cohortMin: 1, sweeps: 1 }, 1);
    const one = stranger('one');
    await enter(one);
    let { round } = await nextStep(one);
    const deliver = (numbers: Float64Array | Float32Array, length = numbers.length) =>
      one.link.upload(
        { round, length, leftMs: 5000 },
        (async function* () {
          yield Buffer.from(numbers.buffer as ArrayBuffer);
        })(),
        signal,
      );
    await expect(deliver(new Float64Array(5))).rejects.toThrow('5 numbers are announced where 2 are due');
    await expect(deliver(new Float64Array(1), 2)).rejects.toThrow('ended before all its numbers had come');
    await expect(deliver(new Float64Array(3), 2)).rejects.toThrow('no piece of what is left');
    expect(await deliver(Float64Array.of(1, 1))).toBe('DISPOSITION_ACCEPTED');
    expect(await deliver(Float64Array.of(1, 1))).toMatch(/DUPLICATE|LATE/);
    ({ round } = await nextStep(one));
    // The census was f64; sums leave in f32.
    const numbers = new Float32Array(55 + 55 + 10).fill(1);
    numbers[70] = Number.NaN;
    await expect(deliver(numbers)).rejects.toThrow('a number of the delivery is not finite');
    numbers[70] = 1;
    expect(await deliver(numbers)).toMatch('DISPOSITION');
    running.federation.stop('the test is over');
  });

  it('says to a participant that joined with other items which the run is about', async () => {
    running = await RunningFederation.start({ ...PLAN, cohortMin: 2 }, 2);
    const { parts } = dataOf(5);
    const policy = { ...DEFAULT_POLICY, require_masking: false, cohort_min: 2 };
    const outcome = running.federation.outcome;
    const one = running.participate('one', parts[0]!, { policy });
    const two = running.participate('two', parts[1]!, {
      policy: { ...policy, items: ['i0000000', 'i0000003'] },
    });
    const [first, second] = await Promise.all([one, two]);
    // What only the first has is trained on its data alone; the second weighs in where its policy lets it.
    expect((await outcome).catalogue.names.length).toBe(ITEMS);
    expect(new Set(second.byUser.idx)).toEqual(new Set([0, 3]));
    expect(first.byUser.idx.length).toBeGreaterThan(second.byUser.idx.length);
  });
});

describe('a plan', () => {
  it.each([
    ['{}', 'version'],
    ['not JSON', 'the plan'],
    [JSON.stringify({ ...PLAN, factors: 0 }), 'factors'],
    [JSON.stringify({ ...PLAN, more: 1 }), 'the plan'],
    [JSON.stringify({ ...PLAN, cohortMax: 2 }), 'cohortMax'],
  ])('%s is refused, and the field is named', (text, field) => {
    expect(() => parseFederatedPlan(text)).toThrow(field);
  });
});
