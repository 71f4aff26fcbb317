/** ‖found − expected‖ / ‖expected‖ over whole tables of the same shape; NaN where `expected` is zero and found too. */
export function relativeDistance(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  let distance = 0;
  let size = 0;
  for (let i = 0; i < expected.length; i++) {
    distance += (found[i]! - expected[i]!) ** 2;
    size += expected[i]! ** 2;
  }
  return Math.sqrt(distance / size);
}
