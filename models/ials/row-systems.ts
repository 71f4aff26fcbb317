import type { Csr } from '../csr.js';
import type { IalsObjective } from '../device.js';
import { explainValue } from './explain-row.js';
import { entryTarget, entryWeight } from './objective.js';
import type { SolveWorkspace } from './solve-workspace.js';

/** The rows' systems (s·G + Σ w y yᵀ + λ_row I) x = Σ c y of a block, as the solvers read them. */
export interface RowSystems {
  readonly block: Csr;
  /** The other side's factors Y, f32 [fixedRows, factors]. */
  readonly fixed: Float32Array;
  readonly fixedRows: number;
  readonly factors: number;
  readonly objective: IalsObjective;
  /** w of every entry of the block. */
  readonly weights: Float64Array;
  /** c = w + `targetShift`. */
  readonly targetShift: number;
  readonly workspace: SolveWorkspace;
  /** Throws when the caller wants no answer any more; called at least once in a few million flops. */
  readonly checkAborted: () => void;
}

/** w of every entry of a block. @throws {NumericError} a value that counts is not a finite number >= 0. */
export function entryWeights(objective: IalsObjective, block: Csr): Float64Array {
  const entries = block.ptr[block.rows]!;
  const weights = new Float64Array(entries);
  const { values } = block;
  if (values === undefined || objective.weights === 'binary') return weights.fill(entryWeight(objective, 1));
  for (let e = 0; e < entries; e++) {
    const weight = entryWeight(objective, values[e]!);
    if (!(weight >= 0 && weight < Number.POSITIVE_INFINITY)) throw explainValue(block, e);
    weights[e] = weight;
  }
  return weights;
}

/** c − w, the same for all entries. */
export function targetShift(objective: IalsObjective): number {
  return entryTarget(objective, 0);
}
