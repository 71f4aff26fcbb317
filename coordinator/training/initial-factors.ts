import { setImmediate } from 'node:timers/promises';
import { roundToBfloat16 } from '../../common/bfloat16.js';
import { addPackedGram, packedGramLength, packedGramOf } from '../../models/gram.js';
import { initFactors } from '../../models/ials/init-factors.js';
import { rowPenalty } from '../../models/ials/objective.js';
import type { TableSums } from '../parameters/phase-ledger.js';
import type { PlanBlock } from '../plan/plan-blocks.js';
import { objectiveOf, type RunConfig } from '../plan/run-config.js';

/**
 * Makes the items' table at clock 0. The users' table stays zero: the first phase solves it anew, and iterative solvers
 * start it from zero. Done block by block, so that calls are answered meanwhile.
 *
 * @param put takes the rows of a block, [rows, K], which must not be kept.
 */
export async function initialItems(
  blocks: readonly PlanBlock[],
  rowCounts: { users: Int32Array; items: Int32Array },
  config: RunConfig,
  put: (rowStart: number, rows: Float32Array) => Promise<void> | void,
): Promise<TableSums> {
  const factors = config['ials.factors'];
  const objective = objectiveOf(config);
  const seed = config['train.seed'];
  const stdDev = config['ials.init_stddev'];
  const gram = new Float64Array(packedGramLength(factors));
  let penalty = 0;
  for (const { rowStart, rowEnd } of blocks) {
    const rows = new Float32Array((rowEnd - rowStart) * factors);
    initFactors(rows, { seed, side: 'items', rowStart, rowEnd, factors, stdDev });
    if (config['train.wire'] === 'bf16') roundToBfloat16(rows);
    addPackedGram(gram, packedGramOf(rows, rowEnd - rowStart, factors));
    for (let row = rowStart; row < rowEnd; row++) {
      penalty +=
        rowPenalty(objective, rowCounts.items[row]!, rowCounts.users.length) *
        squaredNorm(rows, row - rowStart, factors);
    }
    await put(rowStart, rows);
    await setImmediate();
  }
  return { gram, penalty };
}

function squaredNorm(table: Float32Array, row: number, factors: number): number {
  let sum = 0;
  for (let k = row * factors; k < (row + 1) * factors; k++) sum += table[k]! * table[k]!;
  return sum;
}
