import { NumericError } from '../../common/errors.js';
import type { Exchange } from './exchange.js';

/** Tables of a solver by name: f32 or f64, [items, K] or [items]. */
export type SolveArrays = Readonly<Record<string, Float32Array | Float64Array>>;

/** How a solver makes the items' factors of sums; one a sweep. */
export interface ItemSolve {
  /** The items' factors as far as the sweep has come: f32 [items, K]. */
  readonly factors: Float32Array;
  /** What participants multiply in the exchange in progress, f32 [items, K]; does not change before `advance`. */
  readonly operand: Float32Array | undefined;
  /** All that a restart needs; the sweep's own arrays. */
  readonly arrays: SolveArrays;
  /** Takes the sums of one item. @param sums may be changed. */
  receive(exchange: Exchange, item: number, sums: Float64Array): void;
  /** All items of the exchange are in. */
  advance(exchange: Exchange): void;
  /** The sweep ends after `done` exchanges, one or more. */
  cut(done: number): void;
}

/** Writes numbers as f32. @throws {NumericError} `STOA_NUMERIC_NOT_FINITE`: one does not fit; names the item. */
export function storeFactors(table: Float32Array, at: number, values: Float64Array, item: number): void {
  for (let k = 0; k < values.length; k++) {
    const value = Math.fround(values[k]!);
    if (!Number.isFinite(value)) {
      throw new NumericError('STOA_NUMERIC_NOT_FINITE', `a factor of item ${item} comes to ${values[k]}`, {
        fields: { row: item },
      });
    }
    table[at + k] = value;
  }
}
