// bfloat16: the upper half of an f32, with its whole range and 8 bits of precision.

const EXPONENT = 0x7f800000;
const QUIET = 0x00400000;

/**
 * Rounds numbers to the nearest bfloat16, ties to even, in place: relative error at most 2⁻⁸. What is not finite stays
 * so, and numbers above 3.39e38 become infinite.
 */
export function roundToBfloat16(numbers: Float32Array): void {
  const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
  for (let n = 0; n < bits.length; n++) bits[n] = upperHalf(bits[n]!) << 16;
}

/** Numbers as bfloat16, little-endian, rounded as by `roundToBfloat16`. */
export function toBfloat16(numbers: Float32Array): Uint16Array {
  const bits = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length);
  const halves = new Uint16Array(bits.length);
  for (let n = 0; n < bits.length; n++) halves[n] = upperHalf(bits[n]!);
  return halves;
}

/** Reads bfloat16, little-endian, at any place in memory. @param out written: as many numbers as `bytes` has, exactly. */
export function fromBfloat16(bytes: Uint8Array, out: Float32Array): void {
  const isAligned = bytes.byteOffset % 2 === 0;
  const { buffer, byteOffset } = isAligned ? bytes : new Uint8Array(bytes);
  const halves = new Uint16Array(buffer, byteOffset, bytes.length / 2);
  const bits = new Uint32Array(out.buffer, out.byteOffset, halves.length);
  for (let n = 0; n < halves.length; n++) bits[n] = halves[n]! << 16;
}

function upperHalf(bits: number): number {
  // Rounding would carry a NaN's fraction into its exponent.
  const hasNoValue = (bits & EXPONENT) === EXPONENT && (bits & 0x007fffff) !== 0;
  if (hasNoValue) return (bits | QUIET) >>> 16;
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}
