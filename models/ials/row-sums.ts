// Sums over the entries of rows, for systems that several put together: each has some of a row's entries. With the rows'
// systems (s·G + A + λI) y = b of models/ials/objective.ts, A = Σ w x xᵀ and b = Σ c x over a row's entries, x the fixed
// side's factors.

import type { Csr } from '../csr.js';
import type { FactorTable, IalsObjective } from '../device.js';
import { packedGramLength } from '../gram.js';

export type RowSum =
  /** A, packed, then b: K(K+1)/2 + K numbers a row. */
  | { readonly kind: 'full' }
  /** Σ (c − w x·y) x, which is b − A y: K numbers a row. */
  | { readonly kind: 'residual' }
  /** Σ w x (x·p), which is A p: K numbers a row. */
  | { readonly kind: 'product' }
  /** A_ππ, packed, then Σ (c − w x·y) x_π, for the dimensions `start` (in) to `end` (out). */
  | { readonly kind: 'block'; readonly start: number; readonly end: number };

export interface RowSumsTask {
  /** `cols` is the number of rows of `fixed`. */
  readonly rows: Csr;
  readonly fixed: FactorTable;
  readonly objective: IalsObjective;
  readonly sum: RowSum;
  /** Rows' factors Y (`residual`, `block`) or directions P (`product`): f32 [rows, K]; not read by `full`. */
  readonly operand?: Float32Array;
  readonly signal?: AbortSignal;
}

/** Numbers of each row. @param factors K. */
export function rowSumLength(sum: RowSum, factors: number): number {
  switch (sum.kind) {
    case 'full':
      return packedGramLength(factors) + factors;
    case 'residual':
    case 'product':
      return factors;
    case 'block': {
      const width = sum.end - sum.start;
      return packedGramLength(width) + width;
    }
  }
}
