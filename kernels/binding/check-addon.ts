// Entry of a process that loads an addon and solves a row with every instruction set: `check-addon.js FILE`.

import { createRequire } from 'node:module';
import type { Addon } from './addon.js';

const addon = createRequire(import.meta.url)(process.argv[2]!) as Addon;

for (const isa of addon.instructionSets()) {
  const found = await solveOne(isa);
  // x = y / (y·y + G + λ) with y = 1, G = 2, λ = 1.
  if (!(Math.abs(found - 0.25) < 1e-6)) throw new Error(`${isa} answers ${found} where 0.25 was expected`);
}

async function solveOne(isa: string): Promise<number> {
  const device = addon.open({ threads: 1, isa });
  const table = addon.createTable({ rows: 2, factors: 1 });
  addon.writeTable(table, { rowStart: 0, count: 2, data: Float32Array.of(1, 1) });
  const out = new Float32Array(1);
  const { done } = addon.solveBlock(device, table, {
    rows: 1,
    ptr: Int32Array.of(0, 1),
    idx: Int32Array.of(1),
    values: undefined,
    gram: Float64Array.of(2),
    prior: undefined,
    out,
    outGram: new Float64Array(1),
    solver: 0,
    steps: 1,
    block: 1,
    isHalf: false,
    wantLoss: false,
    gramScale: 1,
    weightScale: 1,
    targetShift: 0,
    regularization: 1,
    countShift: 0,
    exponent: 0,
  });
  await done;
  addon.close(device);
  return out[0]!;
}
