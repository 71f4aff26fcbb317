// Numbers as fixed point in Z_2^k, and the proof before a round that their sum cannot wrap.

import { UsageError } from '../../common/errors.js';

/** Most members of a cohort: Shamir shares over GF(2^8) have 255 places to stand at. */
export const MEMBERS_MAX = 255;

/** The ring of a round's sums. Made by `planRing` alone, so that whoever holds one holds its bound too. */
export interface Ring {
  /** k: sums are taken modulo 2^k. A multiple of 8, since words travel as k / 8 bytes. */
  readonly bits: number;
  /** A number x stands as the whole number nearest to x · 2^fractionBits. */
  readonly fractionBits: number;
  /** Greatest magnitude of one participant's word, whole: `participants · magnitudeMax < 2^(bits − 1)`. */
  readonly magnitudeMax: number;
  /** Most participants that the bound was proved for. */
  readonly participants: number;
}

export interface RingNeeds {
  /** 32, 40, 48, 56 or 64. */
  ringBits: number;
  /** 0 to 52: more would say bits of a float64 that it does not have. */
  fractionBits: number;
  /** Members of the cohort, 2 to 255. */
  participants: number;
  /** Most learners of one participant that add to one entry of a sum, at least 1. */
  learnersEach: number;
  /** Greatest magnitude that one learner adds to an entry, > 0. */
  bound: number;
}

/**
 * Proves that no sum of the cohort leaves the ring:
 *
 *   participants · learnersEach · bound · 2^fractionBits < 2^(ringBits − 1)
 *
 * What `encodeFixedPoint` lets through is at most `magnitudeMax`, and the rule is checked in whole numbers for just that,
 * so that rounding cannot make it wrong at the edge.
 *
 * @throws {UsageError} `STOA_USAGE`: a size out of its range, or a sum that could wrap; says which fraction would fit.
 */
export function planRing({ ringBits, fractionBits, participants, learnersEach, bound }: RingNeeds): Ring {
  requireWhole('ring bits', ringBits, 32, 64);
  if (ringBits % 8 !== 0) refuse(`ring bits must be a multiple of 8, not ${ringBits}`);
  requireWhole('fraction bits', fractionBits, 0, 52);
  requireWhole('participants', participants, 2, MEMBERS_MAX);
  requireWhole('learners of a participant', learnersEach, 1, Number.MAX_SAFE_INTEGER);
  if (!(bound > 0 && Number.isFinite(bound))) refuse(`the bound of a learner must be above 0, not ${bound}`);
  const magnitudeMax = Math.floor(learnersEach * bound * 2 ** fractionBits);
  if (magnitudeMax < 1) {
    refuse(`${fractionBits} fraction bits cannot show numbers up to ${learnersEach * bound}; take more`);
  }
  if (BigInt(participants) * BigInt(magnitudeMax) >= 1n << BigInt(ringBits - 1)) {
    const bitsOfSum = Math.log2(participants * learnersEach * bound);
    const fits = Math.ceil(ringBits - 1 - bitsOfSum) - 1;
    const way =
      fits >= 0
        ? `at most ${fits} fraction bits fit`
        : `no fraction fits; take a larger ring or a smaller bound`;
    refuse(
      `a sum of ${participants} participants needs ${(bitsOfSum + fractionBits).toFixed(2)} bits and a sign, and the ring has ${ringBits}; ${way}`,
    );
  }
  return Object.freeze({ bits: ringBits, fractionBits, magnitudeMax, participants });
}

function requireWhole(what: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  refuse(`${what} must be a whole number from ${min} to ${max}, not ${value}`);
}

function refuse(message: string): never {
  throw new UsageError('STOA_USAGE', message);
}
