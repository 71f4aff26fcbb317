/**
 * The rows of the greatest scores, greatest first; equal scores by lower row. Rows that score −Infinity are left out;
 * where fewer remain than `out` holds, the rest of `out` becomes −1.
 *
 * A heap of out.length rows with the worst on top: most rows are refused by one comparison.
 */
export function selectTop(scores: Float64Array, out: Int32Array): void {
  const wanted = out.length;
  let size = 0;
  for (let row = 0; row < scores.length; row++) {
    const score = scores[row]!;
    if (score === Number.NEGATIVE_INFINITY) continue;
    if (size < wanted) {
      out[size] = row;
      riseWorse(scores, out, size++);
    } else if (wanted > 0 && score > scores[out[0]!]!) {
      // A later row with an equal score is worse, so it never enters.
      out[0] = row;
      sinkBetter(scores, out, size);
    }
  }
  for (let end = size - 1; end > 0; end--) {
    const worst = out[0]!;
    out[0] = out[end]!;
    out[end] = worst;
    sinkBetter(scores, out, end);
  }
  out.fill(-1, size);
}

function isWorse(scores: Float64Array, a: number, b: number): boolean {
  return scores[a]! < scores[b]! || (scores[a] === scores[b] && a > b);
}

/** Moves the last row of the heap up past the better ones. */
function riseWorse(scores: Float64Array, heap: Int32Array, start: number): void {
  let at = start;
  const row = heap[at]!;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!isWorse(scores, row, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = row;
}

/** Moves the top row of the heap down past the worse ones. */
function sinkBetter(scores: Float64Array, heap: Int32Array, size: number): void {
  const row = heap[0]!;
  let at = 0;
  for (let child = 1; child < size; child = 2 * at + 1) {
    if (child + 1 < size && isWorse(scores, heap[child + 1]!, heap[child]!)) child += 1;
    if (!isWorse(scores, heap[child]!, row)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = row;
}
