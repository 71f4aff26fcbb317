// Inverse of a large symmetric positive definite matrix, in steps that threads can share.
//
// The blocked sweep: with the pivot block D = A_pp, one sweep of panel p turns
//
//   A_pp → −D⁻¹      A_ip → A_ip D⁻¹      A_ij → A_ij − A_ip D⁻¹ A_pj        for all i, j outside the panel
//
// and after a sweep of every panel A holds −A⁻¹. A stays symmetric, so only the lower triangle is kept. Each pivot
// block is a Schur complement of A, hence positive definite, and no pivoting is needed. About n³/2 multiplications.
// Source: Goodnight, "A Tutorial on the SWEEP Operator", The American Statistician 1979 (here by blocks).
//
// Every number is computed by one call, in one fixed order, so that the inverse has the same bits however the calls
// are shared among threads.

import { invertPivot } from './invert-pivot.js';
import { addTileProduct, PANEL } from './tile-product.js';

/** What the steps of a sweep share. */
export interface SweepState {
  /** Order of the matrix, a multiple of `PANEL`. */
  readonly n: number;
  /** A: f64, [n, n], row-major; only the lower triangle is read and written. */
  readonly matrix: Float64Array;
  /** Scratch, [PANEL, PANEL]: D⁻¹ of the present panel. */
  readonly pivot: Float64Array;
  /** Scratch, [n, PANEL]: the panel's column of A as it was, A_ip. */
  readonly before: Float64Array;
  /** Scratch, [n, PANEL]: A_ip D⁻¹. */
  readonly after: Float64Array;
}

/** Bytes of a `SweepState` for a matrix of order n. */
export function sweepBytes(n: number): number {
  const order = paddedOrder(n);
  return 8 * (order * (order + 2 * PANEL) + PANEL * PANEL);
}

/** Zeros for a matrix of order n, over SharedArrayBuffers, padded with ones on the diagonal to whole panels. */
export function createSweepState(n: number): SweepState {
  const order = paddedOrder(n);
  const matrix = sharedFloat64(order * order);
  for (let row = n; row < order; row++) matrix[row * order + row] = 1;
  return {
    n: order,
    matrix,
    pivot: sharedFloat64(PANEL * PANEL),
    before: sharedFloat64(order * PANEL),
    after: sharedFloat64(order * PANEL),
  };
}

/** Panels of a sweep, and rows of tiles in each. */
export function panelsOf(state: SweepState): number {
  return state.n / PANEL;
}

/** Replaces A by −A⁻¹ (lower triangle), all steps in turn. @throws {NumericError} A is not positive definite. */
export function invertSpd(state: SweepState): void {
  const panels = panelsOf(state);
  for (let panel = 0; panel < panels; panel++) {
    sweepPivot(state, panel);
    for (let tileRow = 0; tileRow < panels; tileRow++) sweepColumn(state, panel, tileRow);
    for (let tileRow = 0; tileRow < panels; tileRow++) sweepTiles(state, panel, tileRow);
  }
}

/** Starts a sweep: writes D⁻¹. @throws {NumericError} A is not positive definite. */
export function sweepPivot(state: SweepState, panel: number): void {
  const start = panel * PANEL;
  invertPivot(state.matrix, start * state.n + start, state.n, PANEL, state.pivot, start);
}

/**
 * Then, for each row of tiles: copies A_ip and writes A_ip D⁻¹, both to scratch. The rows of tiles of one panel may
 * run at once.
 */
export function sweepColumn(state: SweepState, panel: number, tileRow: number): void {
  if (tileRow === panel) return;
  const { n, matrix, pivot, before, after } = state;
  const left = panel * PANEL;
  const start = tileRow * PANEL;
  for (let r = start; r < start + PANEL; r++) {
    for (let c = 0; c < PANEL; c++) {
      // Above the diagonal the panel's column is the panel's row.
      before[r * PANEL + c] = tileRow > panel ? matrix[r * n + left + c]! : matrix[(left + c) * n + r]!;
    }
  }
  after.fill(0, start * PANEL, (start + PANEL) * PANEL);
  // D⁻¹ is symmetric, so its rows serve as its columns.
  for (let r = start; r < start + PANEL; r += 4) {
    for (let c = 0; c < PANEL; c += 4) addTileProduct(after, r * PANEL + c, PANEL, 1, before, r, pivot, c);
  }
}

/**
 * Last, for each row of tiles of the lower triangle, when every `sweepColumn` of the panel is done: writes the swept
 * tiles. The rows of tiles of one panel may run at once.
 */
export function sweepTiles(state: SweepState, panel: number, tileRow: number): void {
  const { n, matrix, before, after } = state;
  const start = tileRow * PANEL;
  for (let tileCol = 0; tileCol <= tileRow; tileCol++) {
    if (tileRow === panel || tileCol === panel) {
      writePanelTile(state, panel, tileRow, tileCol);
      continue;
    }
    const left = tileCol * PANEL;
    for (let r = start; r < start + PANEL; r += 4) {
      for (let c = left; c < left + PANEL; c += 4)
        addTileProduct(matrix, r * n + c, n, -1, after, r, before, c);
    }
  }
}

/** Writes a tile of the swept column or row: A_ip D⁻¹, its transpose, or −D⁻¹ where they cross. */
function writePanelTile(state: SweepState, panel: number, tileRow: number, tileCol: number): void {
  const { n, matrix, pivot, after } = state;
  for (let r = 0; r < PANEL; r++) {
    const row = tileRow * PANEL + r;
    for (let c = 0; c < PANEL; c++) {
      const col = tileCol * PANEL + c;
      if (tileRow === tileCol) matrix[row * n + col] = -pivot[r * PANEL + c]!;
      else matrix[row * n + col] = tileCol === panel ? after[row * PANEL + c]! : after[col * PANEL + r]!;
    }
  }
}

function paddedOrder(n: number): number {
  return Math.ceil(n / PANEL) * PANEL;
}

function sharedFloat64(length: number): Float64Array {
  return new Float64Array(new SharedArrayBuffer(length * 8));
}
