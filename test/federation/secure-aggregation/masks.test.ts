// Masked words against the vectors, and that they look like nothing at all.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../common/random.js';
import { encodeFixedPoint } from '../../../federation/secure-aggregation/fixed-point.js';
import { agree, agreementKey } from '../../../federation/secure-aggregation/key-agreement.js';
import { pairKey, selfKey } from '../../../federation/secure-aggregation/mask-keys.js';
import { addWords, applyMask, type Mask } from '../../../federation/secure-aggregation/mask-stream.js';
import {
  type MaskScope,
  maskScope,
  pairMask,
  selfMask,
} from '../../../federation/secure-aggregation/member-masks.js';
import type { KeyAdvertisement } from '../../../federation/secure-aggregation/messages.js';
import { planRing } from '../../../federation/secure-aggregation/ring.js';
import { cohortHash, type RoundTerms } from '../../../federation/secure-aggregation/round-terms.js';
import { packWords } from '../../../federation/secure-aggregation/word-bytes.js';
import { seededBytes } from './virtual-cohort.js';

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../vectors/${name}`, import.meta.url), 'utf8'));
const PLAIN = read('secure-aggregation.json') as {
  public_keys: string[];
  pair_key_0_1: string;
  x: number[][];
  y_hex: string[][];
  sum: number[];
  sum_without_participant_2: number[];
};
const BOUND = read('secure-aggregation-bound.json') as {
  names: string[];
  identity_keys: string[];
  mask_keys: string[];
  seal_keys: string[];
  cohort_hash: string;
  pair_key_0_1: string;
  self_key_2: string;
  x: number[][];
  y_hex: string[][];
};

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
const ring = planRing({ ringBits: 64, fractionBits: 24, participants: 3, learnersEach: 1, bound: 1024 });
const own = [0, 1, 2].map((i) => agreementKey(new Uint8Array(32).fill(i + 1)));
const seeds = [0, 1, 2].map((i) => new Uint8Array(32).fill(0x10 + i));
const advertisements = own.map(
  ({ publicKey }, member): KeyAdvertisement => ({
    type: 'keys',
    session: new Uint8Array(16).fill(0xaa),
    round: 7n,
    member,
    sealKey: bytes(BOUND.seal_keys[member]!),
    maskKey: publicKey,
    signature: new Uint8Array(64),
  }),
);
const unbound: MaskScope = {
  session: new Uint8Array(16).fill(0xaa),
  round: 7n,
  binding: new Uint8Array(0),
  cohort: new Uint8Array(32),
};

function masksOf(member: number, scope: MaskScope): Mask[] {
  const peers = advertisements.filter((peer) => peer.member !== member);
  const pairs = peers.map((peer) => pairMask(own[member]!, { member, peer }, scope));
  return [selfMask(seeds[member]!, member, scope), ...pairs];
}

function maskedWords(member: number, scope: MaskScope): BigUint64Array {
  const words = new BigUint64Array(4);
  encodeFixedPoint(Float64Array.from(PLAIN.x[member]!), ring, words);
  for (const mask of masksOf(member, scope)) applyMask(words, 0, mask);
  return words;
}

const hexWords = (words: BigUint64Array): string[] =>
  [...words].map((word) => word.toString(16).padStart(16, '0'));

describe('the vector of masks', () => {
  it('has these keys and masked words', () => {
    expect(own.map(({ publicKey }) => hex(publicKey))).toEqual(PLAIN.public_keys);
    const pair = { low: 0, high: 1, lowKey: own[0]!.publicKey, highKey: own[1]!.publicKey };
    expect(hex(pairKey(agree(own[0]!, own[1]!.publicKey), pair, unbound))).toBe(PLAIN.pair_key_0_1);
    expect(hex(pairKey(agree(own[1]!, own[0]!.publicKey), pair, unbound))).toBe(PLAIN.pair_key_0_1);
    for (const member of [0, 1, 2])
      expect(hexWords(maskedWords(member, unbound))).toEqual(PLAIN.y_hex[member]);
  });

  it('has these sums, of all three and without the last', () => {
    for (const [survivors, expected] of [
      [[0, 1, 2], PLAIN.sum],
      [[0, 1], PLAIN.sum_without_participant_2],
    ] as const) {
      const sum = new BigUint64Array(4);
      for (const member of survivors) addWords(sum, maskedWords(member, unbound));
      for (const member of survivors) {
        applyMask(sum, 0, { ...selfMask(seeds[member]!, member, unbound), sign: -1 });
      }
      for (const dropout of [0, 1, 2].filter(
        (member) => !(survivors as readonly number[]).includes(member),
      )) {
        // The dropout's own side of a pair takes away what the survivor's side put in.
        for (const peer of survivors) {
          applyMask(
            sum,
            0,
            pairMask(own[dropout]!, { member: dropout, peer: advertisements[peer]! }, unbound),
          );
        }
      }
      expect([...sum].map((word) => Number(BigInt.asIntN(64, word)) / 2 ** 24)).toEqual(expected);
    }
  });

  it('is another with item factors and cohort bound in, as computed without Stoa', () => {
    const terms: RoundTerms = {
      session: new Uint8Array(16).fill(0xaa),
      round: 7n,
      purpose: 'statistics',
      members: BOUND.names.map((name, n) => ({ name, identityKey: bytes(BOUND.identity_keys[n]!) })),
      ring,
      length: 4,
    };
    expect(own.map(({ publicKey }) => hex(publicKey))).toEqual(BOUND.mask_keys);
    expect(hex(cohortHash(terms, advertisements))).toBe(BOUND.cohort_hash);
    const scope = maskScope(terms, new Uint8Array(32).fill(0xf0), advertisements);
    const pair = { low: 0, high: 1, lowKey: own[0]!.publicKey, highKey: own[1]!.publicKey };
    expect(hex(pairKey(agree(own[0]!, own[1]!.publicKey), pair, scope))).toBe(BOUND.pair_key_0_1);
    expect(hex(selfKey(seeds[2]!, 2, scope))).toBe(BOUND.self_key_2);
    for (const member of [0, 1, 2]) expect(hexWords(maskedWords(member, scope))).toEqual(BOUND.y_hex[member]);
  });

  it.each<[string, (terms: RoundTerms) => Partial<RoundTerms>]>([
    ['round', () => ({ round: 8n })],
    ['session', () => ({ session: new Uint8Array(16).fill(0xab) })],
    ['purpose', () => ({ purpose: 'counts' })],
    ['length', () => ({ length: 5 })],
    [
      'ring',
      () => ({
        ring: planRing({ ringBits: 56, fractionBits: 24, participants: 3, learnersEach: 1, bound: 1024 }),
      }),
    ],
    [
      'bound',
      () => ({
        ring: planRing({ ringBits: 64, fractionBits: 24, participants: 3, learnersEach: 1, bound: 1000 }),
      }),
    ],
    ['cohort', ({ members }) => ({ members: [...members, members[0]!] })],
    ['name', ({ members }) => ({ members: members.map((one) => ({ ...one, name: `${one.name}!` })) })],
  ])('has other masks with another %s', (_, change) => {
    const terms: RoundTerms = {
      session: new Uint8Array(16).fill(0xaa),
      round: 7n,
      purpose: 'statistics',
      members: [0, 1, 2].map((n) => ({ name: `m${n}`, identityKey: new Uint8Array(32).fill(n) })),
      ring,
      length: 4,
    };
    const hash = new Uint8Array(32).fill(0xf0);
    const here = masksOf(1, maskScope(terms, hash, advertisements));
    const there = masksOf(1, maskScope({ ...terms, ...change(terms) }, hash, advertisements));
    for (const n of [0, 1, 2]) expect(there[n]!.key).not.toEqual(here[n]!.key);
  });
});

describe('masks', () => {
  it('add and take away words of 64 bits as whole numbers of any size do, through the top', () => {
    const random = seededBytes(11);
    const key = random(32);
    // More than a piece, and not a multiple of one.
    const length = 8192 + 1001;
    const plain = new BigUint64Array(length).map((_, n) => (n % 3 === 0 ? 2n ** 64n - 1n : BigInt(n)));
    const mask = new BigUint64Array(length);
    applyMask(mask, 5, { key, sign: 1 });
    const plus = plain.slice();
    applyMask(plus, 5, { key, sign: 1 });
    const minus = plain.slice();
    applyMask(minus, 5, { key, sign: -1 });
    for (let n = 0; n < length; n++) {
      expect(plus[n] === (plain[n]! + mask[n]!) % 2n ** 64n).toBe(true);
      expect(minus[n] === (plain[n]! - mask[n]! + 2n ** 64n) % 2n ** 64n).toBe(true);
    }
    applyMask(minus.subarray(0, 4000), 5, { key, sign: 1 });
    applyMask(minus.subarray(4000), 4005, { key, sign: 1 });
    expect(minus).toEqual(plain);
  });

  it('can give the top word of the ring, and 0 after it', () => {
    const key = seededBytes(12)(32);
    const mask = new BigUint64Array(2);
    applyMask(mask, 0, { key, sign: 1 });
    const words = BigUint64Array.of(2n ** 64n - 1n - mask[0]!, 2n ** 64n - mask[1]!);
    applyMask(words, 0, { key, sign: 1 });
    expect([...words]).toEqual([2n ** 64n - 1n, 0n]);
  });
});

describe('a million masked words', () => {
  const COUNT = 1_000_000;
  const random = createRandom(5);
  // Skewed like statistics: mostly zeros, a few large, all of one sign.
  const values = Float64Array.from({ length: COUNT }, () =>
    random.next() < 0.9 ? 0 : 1000 * random.next() ** 4,
  );
  const words = new BigUint64Array(COUNT);
  encodeFixedPoint(values, ring, words);
  for (const mask of masksOf(0, unbound)) applyMask(words, 0, mask);
  const packed = packWords(words, ring);

  it.each([0, 1, 2, 3, 4, 5, 6, 7])('have byte %i spread evenly', (place) => {
    const counts = new Float64Array(256);
    for (let n = place; n < packed.length; n += 8) counts[packed[n]!]!++;
    const expected = COUNT / 256;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 255 degrees of freedom: 330.52 is passed with a chance of 0.001, and 186.2 is missed with the same.
    expect(chiSquare).toBeLessThan(330.52);
    expect(chiSquare).toBeGreaterThan(186.2);
  });

  it('do not go with the plain values', () => {
    const masked = Float64Array.from(words, (word) => Number(BigInt.asIntN(64, word)));
    expect(Math.abs(correlation(values, masked))).toBeLessThan(0.01);
    // The check sees a mask that is left out.
    const bare = new BigUint64Array(COUNT);
    encodeFixedPoint(values, ring, bare);
    expect(correlation(values, Float64Array.from(bare, Number))).toBeGreaterThan(0.99);
  });

  it('reach from the bottom to the top of the ring', () => {
    let top = 0n;
    let bottom = 2n ** 64n;
    for (const word of words) {
      if (word > top) top = word;
      if (word < bottom) bottom = word;
    }
    // One in a million is expected within a millionth of an end; a hundred times as far is missed with a chance of e^-100.
    expect(2n ** 64n - top).toBeLessThan(2n ** 64n / 10_000n);
    expect(bottom).toBeLessThan(2n ** 64n / 10_000n);
  });
});

function correlation(a: Float64Array, b: Float64Array): number {
  const mean = (values: Float64Array) => values.reduce((sum, x) => sum + x, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let n = 0; n < a.length; n++) {
    ab += (a[n]! - meanA) * (b[n]! - meanB);
    aa += (a[n]! - meanA) ** 2;
    bb += (b[n]! - meanB) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}
