/** f64 keeps 53 bits, of which a sum over a million learners loses some 20: below this part of the trace is rounding. */
const ROUNDING = 1e-10;

/**
 * Whether a symmetric matrix has no negative eigenvalue, to rounding: A + δI has a Cholesky factor, with δ the trace's
 * `1e-10` and `slack`. An eigenvalue below −δ is found for certain; one above it passes.
 *
 * @param packed [n(n+1)/2], the lower triangle by rows; finite; not changed.
 * @param slack  what each number may be off by, for sums in fixed point. @default 0
 *
 * Cost: n³/3 flops.
 */
export function isPositiveSemidefinite(packed: ArrayLike<number>, n: number, slack = 0): boolean {
  let trace = 0;
  for (let r = 0; r < n; r++) trace += Math.abs(packed[at(r, r)]!);
  // Errors of `slack` in every number move no eigenvalue by more than n times that (Gershgorin).
  const shift = ROUNDING * trace + n * slack;
  const factor = new Float64Array((n * (n + 1)) / 2);
  for (let r = 0; r < n; r++) {
    for (let c = 0; c <= r; c++) {
      let sum = packed[at(r, c)]! + (r === c ? shift : 0);
      for (let k = 0; k < c; k++) sum -= factor[at(r, k)]! * factor[at(c, k)]!;
      if (r > c) {
        const pivot = factor[at(c, c)]!;
        // A row of zeros, all of it: nothing to divide by, and nothing may stand beside it.
        if (pivot === 0 && sum !== 0) return false;
        factor[at(r, c)] = pivot === 0 ? 0 : sum / pivot;
        continue;
      }
      if (sum < 0) return false;
      factor[at(r, r)] = Math.sqrt(sum);
    }
  }
  return true;
}

function at(row: number, column: number): number {
  return (row * (row + 1)) / 2 + column;
}
