// Shares against the audited package shamir-secret-sharing, which has the same field: each combines the other's.

import { readFileSync } from 'node:fs';
import { combine, split } from 'shamir-secret-sharing';
import { describe, expect, it } from 'vitest';
import { combineShares, shareWeights, splitSecret } from '../../../federation/secure-aggregation/shamir.js';
import { seededBytes, subsets } from './virtual-cohort.js';

const vector = JSON.parse(readFileSync(new URL('../../vectors/shamir.json', import.meta.url), 'utf8')) as {
  secret: string;
  threshold: number;
  shares: Record<string, string>;
  sets_that_give_it: number[][];
  too_few: { shares: number[] };
};

const PLACES = [1, 2, 3, 17, 91, 200, 255];

describe('shares', () => {
  it('of ours give the secret in the package, from any four of seven', async () => {
    const random = seededBytes(1);
    const secret = random(32);
    const shares = splitSecret(secret, { places: PLACES, threshold: 4 }, random);
    for (const chosen of subsets(7, 4)) {
      const theirs = chosen.map((n) => Uint8Array.from([...shares[n]!, PLACES[n]!]));
      expect(await combine(theirs)).toEqual(secret);
    }
  });

  it('give the secret also where they came over a network, as views of larger buffers', () => {
    const random = seededBytes(4);
    const secret = random(32);
    const shares = splitSecret(secret, { places: PLACES, threshold: 4 }, random).slice(0, 4);
    const packet = Buffer.concat([Buffer.alloc(5, 0xee), ...shares]);
    const views = shares.map((_, n) => packet.subarray(5 + 32 * n, 5 + 32 * (n + 1)));
    expect(combineShares(views, shareWeights(PLACES.slice(0, 4), 4))).toEqual(secret);
    expect(packet).toEqual(Buffer.concat([Buffer.alloc(5, 0xee), ...shares]));
  });

  it('of the package give the secret in ours, for cohorts small and large', async () => {
    for (const [count, threshold] of [
      [2, 2],
      [5, 4],
      [100, 67],
      [255, 171],
    ] as const) {
      const secret = seededBytes(count)(32);
      const theirs = (await split(secret, count, threshold)).slice(0, threshold);
      const weights = shareWeights(
        theirs.map((share) => share[32]!),
        threshold,
      );
      const shares = theirs.map((share) => share.slice(0, 32));
      expect(combineShares(shares, weights)).toEqual(secret);
    }
  });

  it('give the secret of the vector from its sets, and too few are refused', () => {
    const secret = new Uint8Array(8);
    new DataView(secret.buffer).setBigUint64(0, BigInt(vector.secret));
    const places = Object.keys(vector.shares).map(Number);
    const shares = splitSecret(secret, { places, threshold: vector.threshold }, seededBytes(2));
    for (const set of vector.sets_that_give_it) {
      const chosen = set.map((place) => shares[places.indexOf(place)]!);
      expect(combineShares(chosen, shareWeights(set, vector.threshold))).toEqual(secret);
    }
    expect(() => shareWeights(vector.too_few.shares, vector.threshold)).toThrow(
      expect.objectContaining({ code: 'STOA_COHORT_TOO_SMALL' }),
    );
  });

  it('below the threshold fit every secret alike', () => {
    // Two of three needed shares of one byte, the third unknown: over all its 256 values each secret appears once.
    const random = seededBytes(4);
    const shares = splitSecret(random(4), { places: [1, 2, 3], threshold: 3 }, random);
    const weights = shareWeights([1, 2, 3], 3);
    const secrets = new Set<number>();
    for (let guess = 0; guess < 256; guess++) {
      const third = Uint8Array.of(guess, 0, 0, 0);
      secrets.add(combineShares([shares[0]!, shares[1]!, third], weights)[0]!);
    }
    expect(secrets.size).toBe(256);
  });

  it('of one secret differ each time', () => {
    const random = seededBytes(8);
    const secret = random(32);
    const first = splitSecret(secret, { places: [1, 2], threshold: 2 }, random);
    const second = splitSecret(secret, { places: [1, 2], threshold: 2 }, random);
    expect(first[0]).not.toEqual(second[0]);
  });
});
