import type { Side } from '../csr.js';
import { initFactors } from '../ials/init-factors.js';
import { type SgdModel, sgdColumns } from './sgd-settings.js';

/**
 * Fills rows of a side with their initial values: factors N(0, σ*²/K), biases 0, and the columns that stay 1.
 *
 * @param out written, [rowEnd − rowStart, sgdColumns] f32.
 * @param o   `stdDev` is σ*, > 0; otherwise as `initFactors`.
 *
 * A row depends on (seed, side, row) only, never on the range it was made with.
 */
export function initSgdRows(
  out: Float32Array,
  o: {
    model: SgdModel;
    seed: number;
    side: Side;
    rowStart: number;
    rowEnd: number;
    factors: number;
    stdDev: number;
  },
): void {
  const columns = sgdColumns(o.model, o.factors);
  const rows = o.rowEnd - o.rowStart;
  const factors = new Float32Array(rows * o.factors);
  initFactors(factors, o);
  const oneAt = oneColumn(o.model, o.side, o.factors);
  for (let row = 0; row < rows; row++) {
    const to = row * columns;
    out.fill(0, to, to + columns);
    out.set(factors.subarray(row * o.factors, (row + 1) * o.factors), to);
    if (oneAt !== undefined) out[to + oneAt] = 1;
  }
}

/** The column of a side that is 1 in every row: it lets the other side's bias through. */
function oneColumn(model: SgdModel, side: Side, factors: number): number | undefined {
  if (side === 'users') return factors;
  return model === 'mf' ? factors + 1 : undefined;
}
