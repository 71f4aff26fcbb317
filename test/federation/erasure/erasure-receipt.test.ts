// Receipts of erasure: what they prove, what they say of whom, and that what they say is so.

import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  type Institution,
  makeWorld,
  solveUsers,
  statistics,
  trainTogether,
  type World,
} from '../../../bench/poisoning/institutions.js';
import { sha256 } from '../../../common/checksums.js';
import {
  type ErasureFacts,
  isAbout,
  newSalt,
  readReceipt,
  sealSubject,
  signReceipt,
} from '../../../federation/erasure/erasure-receipt.js';
import { robustSums } from '../../../federation/robust/robust-sums.js';
import { certifyMember, createAuthority } from '../../../federation/trust/authority.js';
import { fingerprintOf } from '../../../federation/trust/certificates.js';

const NOW = new Date('2026-03-01T10:00:00Z');
const authority = createAuthority('open-courses', NOW);
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const certificate = certifyMember(authority, { name: 'uni-a', publicKey, now: NOW }).toString();
const signer = { sign: (statement: Uint8Array) => sign(null, statement, privateKey), certificate };
const salt = newSalt();

const facts: ErasureFacts = {
  schema_version: 1,
  federation: 'open-courses',
  authority: fingerprintOf(authority.certificate),
  participant: 'uni-a',
  subject: sealSubject('learner-17', salt),
  run_id: 'run-1',
  round: 12,
  basis: 'statistics',
  model_version: '20260301-100000-abc',
  item_factors: sha256('factors'),
  erase_time: '2026-03-01T09:00:00.000Z',
  model_time: '2026-03-01T10:00:00.000Z',
};
const receipt = signReceipt(facts, signer);
const pem = authority.certificate.toString();
const read = (changed: object, trusted = pem) =>
  readReceipt(JSON.stringify({ ...receipt, ...changed }), trusted);

describe('a receipt', () => {
  it('is read with the certificate of the authority alone', () => {
    expect(readReceipt(JSON.stringify(receipt), pem)).toEqual(receipt);
    // How its JSON is written does not matter.
    const reordered = Object.fromEntries(Object.entries(receipt).reverse());
    expect(readReceipt(JSON.stringify(reordered, undefined, 4), pem)).toEqual(receipt);
  });

  it.each(Object.keys(facts) as (keyof ErasureFacts)[])('is refused when its %s is changed', (name) => {
    const others: Record<string, unknown> = {
      schema_version: 2,
      basis: 'model',
      round: 11,
      erase_time: '2026-03-01T09:00:01.000Z',
      model_time: '2026-03-01T10:00:01.000Z',
    };
    const value = facts[name];
    const changed = others[name] ?? String(value).replace(/[a-f0-9]/, (digit) => (digit === 'a' ? 'b' : 'a'));
    expect(changed).not.toBe(value);
    expect(() => read({ [name]: changed })).toThrow(expect.objectContaining({ code: 'STOA_SIGNATURE' }));
  });

  it('is refused when a bit of its signature is changed', () => {
    for (let byte = 0; byte < 64; byte++) {
      const bytes = Buffer.from(receipt.signature, 'base64');
      bytes[byte] = bytes[byte]! ^ (1 << (byte % 8));
      expect(() => read({ signature: bytes.toString('base64') })).toThrow('what was signed');
    }
  });

  it('of a federation is not one of another, even of the same name', () => {
    const other = createAuthority('open-courses', NOW);
    expect(() => read({}, other.certificate.toString())).toThrow('another federation');
    expect(() => read({ authority: fingerprintOf(other.certificate) }, other.certificate.toString())).toThrow(
      "not one of the federation's authority",
    );
  });

  it('cannot be made by another member in the name of a participant', () => {
    const own = generateKeyPairSync('ed25519');
    const mine = certifyMember(authority, { name: 'uni-b', publicKey: own.publicKey, now: NOW }).toString();
    const forged = signReceipt(facts, {
      sign: (statement) => sign(null, statement, own.privateKey),
      certificate: mine,
    });
    expect(() => readReceipt(JSON.stringify(forged), pem)).toThrow('that of another member');
    expect(() => readReceipt(JSON.stringify({ ...forged, certificate }), pem)).toThrow('what was signed');
  });

  it('made with a certificate that had expired, or for a version before the erasure, is refused', () => {
    const late = { ...facts, model_time: '2027-03-01T10:00:00.000Z' };
    expect(() => readReceipt(JSON.stringify(signReceipt(late, signer)), pem)).toThrow('not valid when');
    const early = { ...facts, erase_time: '2026-03-01T10:00:00.001Z' };
    expect(() => readReceipt(JSON.stringify(signReceipt(early, signer)), pem)).toThrow(
      'older than the erasure',
    );
  });

  it('that is something else is refused as a whole', () => {
    for (const text of ['', '{}', 'null', '[]', JSON.stringify({ ...receipt, more: 1 })]) {
      expect(() => readReceipt(text, pem)).toThrow('it is no receipt');
    }
    expect(() => read({ certificate: 'x' })).toThrow('cannot be read');
  });

  it('tells whom it is about to who has the salt, and names nobody', () => {
    expect(isAbout(receipt, 'learner-17', salt)).toBe(true);
    expect(isAbout(receipt, 'learner-18', salt)).toBe(false);
    expect(isAbout(receipt, 'learner-17', newSalt())).toBe(false);
    expect(JSON.stringify(receipt)).not.toContain('learner-17');
    expect(sealSubject('learner-17', newSalt())).not.toBe(sealSubject('learner-17', newSalt()));
  });
});

describe('what a receipt says', () => {
  const FACTORS = 8;
  const world = makeWorld({ sizes: [30, 40, 25], items: 48, topics: 4, seed: 3 });
  const without: World = {
    ...world,
    institutions: world.institutions.map((institution, index) =>
      index === 0 ? erased(institution, 7) : institution,
    ),
  };
  const never: World = {
    ...world,
    institutions: world.institutions.map((institution, index) =>
      index === 0 ? { ...institution, rows: rowsWithout(institution.rows, 7) } : institution,
    ),
  };
  const aggregate = (contributions: Parameters<typeof robustSums>[0]) =>
    robustSums(contributions, { items: 48, factors: FACTORS, rule: 'sum' });
  const train = (of: World, sweeps: number) =>
    trainTogether(of, { factors: FACTORS, sweeps, aggregate }).items;

  it('"statistics": those of the next round are the ones of an institution that never had the learner', () => {
    const items = train(world, 3);
    const after = statistics(
      without.institutions[0]!,
      solveUsers(without.institutions[0]!.rows, items, FACTORS),
      FACTORS,
    );
    const ideal = statistics(
      never.institutions[0]!,
      solveUsers(never.institutions[0]!.rows, items, FACTORS),
      FACTORS,
    );
    const before = statistics(
      world.institutions[0]!,
      solveUsers(world.institutions[0]!.rows, items, FACTORS),
      FACTORS,
    );
    expect(after.sums).toEqual(ideal.sums);
    expect(after.counts).toEqual(ideal.counts);
    expect(before.counts).not.toEqual(ideal.counts);
  });

  it('"statistics" is less than "model": factors that the learner helped to make are where the next round begins', () => {
    const begun = train(world, 3);
    const goneOn = trainTogether(without, { factors: FACTORS, sweeps: 1, aggregate, start: begun }).items;
    const afresh = trainTogether(never, {
      factors: FACTORS,
      sweeps: 1,
      aggregate,
      start: train(never, 3),
    }).items;
    expect(goneOn).not.toEqual(afresh);
  });

  it('"model" needs the row to be gone: an empty row is still a learner in the penalty of every item', () => {
    expect(train(without, 4)).not.toEqual(train(never, 4));
    expect(train(world, 4)).not.toEqual(train(never, 4));
  });
});

/** A learner whose row was emptied. */
function erased(institution: Institution, user: number): Institution {
  const { rows } = institution;
  const [from, to] = [rows.ptr[user]!, rows.ptr[user + 1]!];
  const idx = Int32Array.from([...rows.idx.subarray(0, from), ...rows.idx.subarray(to)]);
  const ptr = rows.ptr.map((at, row) => (row > user ? at - (to - from) : at));
  return { ...institution, rows: { ...rows, idx, ptr } };
}

/** The rows of an institution that never had the learner. */
function rowsWithout(rows: Institution['rows'], user: number): Institution['rows'] {
  const emptied = erased({ name: '', rows, held: new Int32Array() }, user).rows;
  const ptr = Int32Array.from([...emptied.ptr.subarray(0, user), ...emptied.ptr.subarray(user + 1)]);
  return { ...emptied, rows: rows.rows - 1, ptr };
}
