/** The eight bits of an f32's exponent: all are set in infinities and NaNs, and in nothing else. */
const EXPONENT = 0x7f800000;
/** Added to a full exponent it reaches the sign bit, and to no other. */
const CARRY = 0x00800000;

/**
 * Position of the first number that is not finite, −1 when all are.
 *
 * Every row of every phase comes by here, so that the sound case is one pass of integer operations: 7 GB/s, where
 * comparing numbers reaches half.
 */
export function firstNotFinite(numbers: Float32Array): number {
  const bits = new Int32Array(numbers.buffer, numbers.byteOffset, numbers.length);
  if (!hasFullExponent(bits)) return -1;
  return numbers.findIndex((x) => !Number.isFinite(x));
}

function hasFullExponent(bits: Int32Array): boolean {
  const whole = bits.length - (bits.length % 8);
  let seen = 0;
  for (let i = 0; i < whole; i += 8) {
    seen |=
      ((bits[i]! & EXPONENT) + CARRY) |
      ((bits[i + 1]! & EXPONENT) + CARRY) |
      ((bits[i + 2]! & EXPONENT) + CARRY) |
      ((bits[i + 3]! & EXPONENT) + CARRY) |
      ((bits[i + 4]! & EXPONENT) + CARRY) |
      ((bits[i + 5]! & EXPONENT) + CARRY) |
      ((bits[i + 6]! & EXPONENT) + CARRY) |
      ((bits[i + 7]! & EXPONENT) + CARRY);
  }
  for (let i = whole; i < bits.length; i++) seen |= (bits[i]! & EXPONENT) + CARRY;
  return seen < 0;
}
