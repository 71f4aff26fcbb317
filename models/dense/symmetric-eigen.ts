// Eigenvalues and eigenvectors of a symmetric matrix, by cyclic Jacobi rotations (Golub and Van Loan, "Matrix
// Computations", section 8.5): slower than tridiagonal methods, but small eigenvalues keep their digits.

/** Rotations end when what is left off the diagonal is this part of the diagonal: nothing f64 could still see. */
const OFF_DIAGONAL = 1e-16;

/** Convergence is quadratic and takes 6 to 12 sweeps; this bound only ends a matrix that is not finite. */
const SWEEPS_MAX = 40;

export interface SymmetricEigen {
  /** [n], in no particular order. */
  readonly values: Float64Array;
  /** [n, n] row-major: column k belongs to value k; orthonormal. */
  readonly vectors: Float64Array;
}

/**
 * A = V diag(values) Vᵀ.
 *
 * @param matrix f64 [n, n], symmetric, finite; not changed.
 *
 * Cost: about 60 n³ flops.
 */
export function symmetricEigen(matrix: Float64Array, n: number): SymmetricEigen {
  const a = Float64Array.from(matrix);
  // Rows of `v` are the vectors while they are made, so that every rotation works on whole rows.
  const v = new Float64Array(n * n);
  for (let k = 0; k < n; k++) v[k * n + k] = 1;
  for (let sweep = 0; sweep < SWEEPS_MAX; sweep++) {
    if (rotateAll(a, v, n) === 0) break;
  }
  const vectors = new Float64Array(n * n);
  for (let r = 0; r < n; r++) for (let c = 0; c < n; c++) vectors[c * n + r] = v[r * n + c]!;
  return { values: Float64Array.from({ length: n }, (_, k) => a[k * n + k]!), vectors };
}

/** One sweep over all pairs. @returns how many were rotated. */
function rotateAll(a: Float64Array, v: Float64Array, n: number): number {
  let rotated = 0;
  for (let p = 0; p < n - 1; p++) {
    for (let q = p + 1; q < n; q++) {
      const off = a[p * n + q]!;
      const size = Math.sqrt(Math.abs(a[p * n + p]! * a[q * n + q]!));
      if (!(Math.abs(off) > OFF_DIAGONAL * size)) continue;
      rotatePair(a, v, n, p, q, off);
      rotated++;
    }
  }
  return rotated;
}

/** Makes a_pq zero. */
function rotatePair(a: Float64Array, v: Float64Array, n: number, p: number, q: number, off: number): void {
  const app = a[p * n + p]!;
  const aqq = a[q * n + q]!;
  const half = (aqq - app) / (2 * off);
  const t = (half < 0 ? -1 : 1) / (Math.abs(half) + Math.sqrt(half * half + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  turn(a, p * n, q * n, n, c, s);
  turn(v, p * n, q * n, n, c, s);
  // Symmetry gives the columns from the rows; where they cross, the textbook's formulas are exact.
  for (let k = 0; k < n; k++) {
    a[k * n + p] = a[p * n + k]!;
    a[k * n + q] = a[q * n + k]!;
  }
  a[p * n + p] = app - t * off;
  a[q * n + q] = aqq + t * off;
  a[p * n + q] = 0;
  a[q * n + p] = 0;
}

function turn(a: Float64Array, p: number, q: number, n: number, c: number, s: number): void {
  for (let k = 0; k < n; k++) {
    const x = a[p + k]!;
    const y = a[q + k]!;
    a[p + k] = c * x - s * y;
    a[q + k] = s * x + c * y;
  }
}
