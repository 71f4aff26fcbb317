// Numbers to words of the ring and back. Masks and sums are never numbers: they stay in 64-bit words.

import { assert, NumericError } from '../../common/errors.js';
import type { Ring } from './ring.js';

const TWO_32 = 2 ** 32;

/**
 * Writes numbers as two's complement in fixed point: the whole number nearest to x · 2^fractionBits, halves away from
 * zero, so that x and −x cancel.
 *
 * A float64 scaled by a power of two stays exact, and each half of a word is below 2^32: nothing is rounded twice.
 *
 * @param words written, as many as `values`; the upper bits repeat the sign, whatever the ring's size.
 * @throws {NumericError} `STOA_NUMERIC_NOT_FINITE`, `STOA_NUMERIC_RANGE`: names the entry; nothing is clipped or wrapped,
 *   and `words` is zero again.
 */
export function encodeFixedPoint(values: Float64Array, ring: Ring, words: BigUint64Array): void {
  assert(words.length === values.length, 'a word for each value');
  const halves = new Uint32Array(words.buffer, words.byteOffset, 2 * words.length);
  const bad = writeHalves(values, 2 ** ring.fractionBits, ring.magnitudeMax, halves);
  if (bad < 0) return;
  halves.fill(0);
  const value = values[bad]!;
  if (!Number.isFinite(value)) {
    throw new NumericError('STOA_NUMERIC_NOT_FINITE', `entry ${bad} of a sum is not a finite number`, {
      fields: { entry: bad },
    });
  }
  throw new NumericError(
    'STOA_NUMERIC_RANGE',
    `entry ${bad} of a sum is beyond the ${ring.magnitudeMax / 2 ** ring.fractionBits} that the round was planned for; plan with more learners or a greater bound`,
    { fields: { entry: bad } },
  );
}

/** The first entry that is refused, or −1. The entry itself stays out of the error: it is a learner's. */
function writeHalves(values: Float64Array, scale: number, magnitudeMax: number, halves: Uint32Array): number {
  for (let n = 0; n < values.length; n++) {
    const scaled = values[n]! * scale;
    const floor = Math.floor(Math.abs(scaled));
    // Adding a half first would round by itself, just below a half and between 2^52 and 2^53.
    const magnitude = Math.abs(scaled) - floor >= 0.5 ? floor + 1 : floor;
    // Also false for NaN.
    if (!(magnitude <= magnitudeMax)) return n;
    const high = Math.floor(magnitude / TWO_32);
    const low = magnitude - high * TWO_32;
    if (scaled < 0) {
      halves[2 * n] = -low;
      halves[2 * n + 1] = low === 0 ? -high : ~high;
    } else {
      halves[2 * n] = low;
      halves[2 * n + 1] = high;
    }
  }
  return -1;
}

/**
 * Reads the words of a sum.
 *
 * @param survivors how many participants it is over: more than they could have added is no sum.
 * @param values    written, as many as `words`: the float64 nearest to each.
 * @throws {NumericError} `STOA_NUMERIC_RANGE`: masks did not cancel; `values` is zero again.
 */
export function decodeFixedPoint(
  words: BigUint64Array,
  ring: Ring,
  { survivors, values }: { survivors: number; values: Float64Array },
): void {
  assert(words.length === values.length, 'a value for each word');
  const halves = new Uint32Array(words.buffer, words.byteOffset, 2 * words.length);
  const most = BigInt(survivors) * BigInt(ring.magnitudeMax);
  if (readHalves(halves, ring, most, values)) return;
  values.fill(0);
  throw new NumericError(
    'STOA_NUMERIC_RANGE',
    `what ${survivors} participants sent does not add up to a sum; they were given different item factors, or one sent other words than the protocol's`,
  );
}

/**
 * Reads the lower bits of words as signed numbers, without a BigInt for each, which costs 20 times as much: the upper
 * half of a word is exact as a float64, and adding the lower one rounds once.
 *
 * @returns false: a magnitude is above `most`.
 */
function readHalves(halves: Uint32Array, ring: Ring, most: bigint, values: Float64Array): boolean {
  const mostHigh = Number(most >> 32n);
  const mostLow = Number(most & 0xffff_ffffn);
  const unused = 64 - ring.bits;
  const scale = 2 ** -ring.fractionBits;
  for (let n = 0; n < values.length; n++) {
    const low = halves[2 * n]!;
    const high = unused === 32 ? (low | 0) >> 31 : (halves[2 * n + 1]! << unused) >> unused;
    const isNegative = high < 0;
    const magnitudeLow = isNegative && low !== 0 ? TWO_32 - low : low;
    const magnitudeHigh = isNegative ? -high - (low === 0 ? 0 : 1) : high;
    if (magnitudeHigh > mostHigh || (magnitudeHigh === mostHigh && magnitudeLow > mostLow)) return false;
    values[n] = (high * TWO_32 + low) * scale;
  }
  return true;
}
