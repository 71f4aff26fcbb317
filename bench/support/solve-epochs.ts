// Training with a device alone, in one process: no coordinator, no messages. The floor of what an epoch costs.

import type { PlanBlock } from '../../coordinator/plan/plan-blocks.js';
import { planBlocks } from '../../coordinator/plan/plan-blocks.js';
import { openDataset } from '../../datasets/dataset.js';
import { type Csr, csrSlice, otherSide, type Side } from '../../models/csr.js';
import type { ComputeDevice, FactorTable, IalsObjective, SolverOptions } from '../../models/device.js';
import { addPackedGram, packedGramLength, packedGramOf, unpackGram } from '../../models/gram.js';
import { RowMemory } from '../../worker/row-memory.js';

export interface EpochsRequest {
  dataset: string;
  device: ComputeDevice;
  objective: IalsObjective;
  solver: SolverOptions;
  /** The items' initial factors, [items, factors]. */
  items: Float32Array;
  factors: number;
  epochs: number;
}

interface SideState {
  rows: Csr;
  blocks: { plan: PlanBlock; csr: Csr }[];
  table: FactorTable;
  /** Packed Gram of the table. */
  gram: Float64Array;
  clock: number;
}

/** Seconds of each epoch. The data are loaded and the tables filled before the first one starts. */
export async function solveEpochs(request: EpochsRequest): Promise<number[]> {
  const { device, items, factors } = request;
  const sides: Record<Side, SideState> = {
    users: await openSide('users', request),
    items: await openSide('items', request),
  };
  await device.write(sides.items.table, 0, items);
  sides.items.gram = packedGramOf(items, items.length / factors, factors);
  const seconds: number[] = [];
  const memory = new RowMemory();
  for (let epoch = 0; epoch < request.epochs; epoch++) {
    const startMs = performance.now();
    await solveSide('users', sides, request, memory);
    await solveSide('items', sides, request, memory);
    seconds.push((performance.now() - startMs) / 1000);
  }
  for (const side of Object.values(sides)) side.table.dispose();
  return seconds;
}

async function openSide(
  side: Side,
  { dataset: dir, device, factors, solver }: EpochsRequest,
): Promise<SideState> {
  const dataset = await openDataset(dir);
  const rows = await dataset.loadCsr(side);
  const rowCounts = new Int32Array(rows.rows);
  for (let row = 0; row < rows.rows; row++) rowCounts[row] = rows.ptr[row + 1]! - rows.ptr[row]!;
  const plan = planBlocks({ side, rowCounts, shards: dataset.manifest.shards[side], factors, solver });
  const blocks = plan.map((block) => ({ plan: block, csr: csrSlice(rows, block.rowStart, block.rowEnd) }));
  const table = await device.createTable(rows.rows, factors);
  return { rows, blocks, table, gram: new Float64Array(packedGramLength(factors)), clock: 0 };
}

async function solveSide(
  side: Side,
  sides: Record<Side, SideState>,
  { device, factors, objective, solver }: EpochsRequest,
  memory: RowMemory,
): Promise<void> {
  const { blocks, table, clock } = sides[side];
  const fixed = sides[otherSide(side)];
  const gram = unpackGram(fixed.gram, factors);
  const grams: Float64Array[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < blocks.length) {
      const at = next++;
      const { plan, csr } = blocks[at]!;
      const needsPrior = solver.name !== 'cholesky' && (side === 'items' || clock > 0);
      const length = csr.rows * factors;
      const prior = needsPrior
        ? await device.read(table, plan.rowStart, plan.rowEnd, memory.take(length))
        : undefined;
      const out = memory.take(length);
      const task = { block: csr, fixed: fixed.table, gram, prior, objective, solver, wantLoss: false, out };
      const result = await device.solveBlock(task);
      await device.write(table, plan.rowStart, result.rows);
      for (const used of new Set([prior, out, result.rows])) if (used !== undefined) memory.give(used);
      grams[at] = result.gram;
    }
  };
  await Promise.all(Array.from({ length: device.capabilities.blocksInFlight }, lane));
  const sum = new Float64Array(packedGramLength(factors));
  for (const part of grams) addPackedGram(sum, part);
  sides[side].gram = sum;
  sides[side].clock++;
}
