// Baseline `popular`: everyone gets the items that most users have.

/** Item rows by their number of users, most first; equal ones by lower row. */
export function popularOrder(counts: Int32Array): Int32Array {
  const order = Int32Array.from(counts, (_, item) => item);
  return order.sort((a, b) => counts[b]! - counts[a]! || a - b);
}

/**
 * The first items of `order` that are not masked, as many as `out` holds; the rest of `out` becomes −1.
 *
 * @param isMasked 1 for each item that must not be shown.
 */
export function rankPopular(order: Int32Array, isMasked: Uint8Array, out: Int32Array): void {
  let found = 0;
  for (let i = 0; i < order.length && found < out.length; i++) {
    const item = order[i]!;
    if (isMasked[item] === 0) out[found++] = item;
  }
  out.fill(-1, found);
}
