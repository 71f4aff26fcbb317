// Trains iALS with a device and nothing else: no coordinator, no network. What a run must come to in quality.

import { transposeCsr } from '../../models/baselines/transpose-csr.js';
import { type Csr, csrSlice } from '../../models/csr.js';
import type { ComputeDevice, FactorTable, IalsObjective, SolverOptions } from '../../models/device.js';
import { addPackedGram, packedGramOf, unpackGram } from '../../models/gram.js';
import { initFactors } from '../../models/ials/init-factors.js';
import { readsPrior } from '../../models/ials/reads-prior.js';

export interface IalsSettings {
  factors: number;
  epochs: number;
  objective: IalsObjective;
  seed: number;
  /** @default cholesky */
  solver?: SolverOptions;
  /** The other orientation, where values count. @default made of `train`, without values */
  byItem?: Csr;
}

const BLOCKS = 64;

const CHOLESKY: SolverOptions = { name: 'cholesky', cgSteps: 1, block: 1 };

export async function trainIals(device: ComputeDevice, train: Csr, settings: IalsSettings) {
  const { factors, epochs, seed } = settings;
  const items = settings.byItem ?? transposeCsr(train);
  const users = await device.createTable(train.rows, factors);
  const itemTable = await device.createTable(items.rows, factors);
  const initial = new Float32Array(items.rows * factors);
  initFactors(initial, { seed, side: 'items', rowStart: 0, rowEnd: items.rows, factors, stdDev: 0.1 });
  await device.write(itemTable, 0, initial);
  let gram = packedGramOf(initial, items.rows, factors);
  for (let epoch = 0; epoch < epochs; epoch++) {
    gram = await solveSide(device, train, itemTable, users, gram, settings);
    gram = await solveSide(device, items, users, itemTable, gram, settings);
  }
  return {
    userFactors: await device.read(users, 0, train.rows),
    itemFactors: await device.read(itemTable, 0, items.rows),
  };
}

/** One phase; answers the Gram of the solved side. */
async function solveSide(
  device: ComputeDevice,
  csr: Csr,
  fixed: FactorTable,
  out: FactorTable,
  packed: Float64Array,
  { factors, objective, solver = CHOLESKY }: IalsSettings,
): Promise<Float64Array> {
  const gram = unpackGram(packed, factors);
  const perBlock = Math.ceil(csr.rows / BLOCKS);
  const starts = Array.from({ length: Math.ceil(csr.rows / perBlock) }, (_, block) => block * perBlock);
  const results = await Promise.all(
    starts.map(async (start) => {
      const end = Math.min(start + perBlock, csr.rows);
      const block = csrSlice(csr, start, end);
      const prior = readsPrior(solver, factors) ? await device.read(out, start, end) : undefined;
      return device.solveBlock({ block, fixed, gram, prior, objective, solver, wantLoss: false });
    }),
  );
  const sum = new Float64Array(packed.length);
  for (const [block, result] of results.entries()) {
    await device.write(out, starts[block]!, result.rows);
    addPackedGram(sum, result.gram);
  }
  return sum;
}
