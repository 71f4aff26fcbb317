// The participant's sums by its device where that can, else in TypeScript.

import { csrSlice } from '../../models/csr.js';
import type { ComputeDevice, FactorTable } from '../../models/device.js';
import type { ItemChunk } from './item-chunks.js';
import { type ItemSumsInput, itemSums } from './item-sums.js';

export interface SumItemsTask extends ItemSumsInput {
  readonly device: ComputeDevice;
  /** `users` as a table of the device. Absent: sums are made here, in f64 throughout. */
  readonly fixed?: FactorTable;
  readonly signal?: AbortSignal;
}

/**
 * Sums one chunk of an exchange over the participant's users: as `itemSums`, with the errors of `ComputeDevice` besides.
 * A device sums short runs of entries in f32, and their sums in f64.
 */
export async function sumItems(task: SumItemsTask, chunk: ItemChunk): Promise<Float64Array> {
  const { device, fixed, byItem, factors, objective, exchange, operand, signal } = task;
  if (device.sumRows === undefined || fixed === undefined) return itemSums(task, chunk);
  const { itemStart, itemEnd } = chunk;
  return device.sumRows({
    rows: csrSlice(byItem, itemStart, itemEnd),
    fixed,
    objective,
    sum: exchange,
    operand: operand?.subarray(itemStart * factors, itemEnd * factors),
    signal,
  });
}
