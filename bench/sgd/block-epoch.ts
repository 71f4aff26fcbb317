// An epoch of one engine alone, in this process: block after block is drawn, reads its rows, descends and adds what it
// learned, without a coordinator.

import { performance } from 'node:perf_hooks';
import { sharedFloat32 } from '../../common/shared-memory.js';
import { type Csr, csrSlice } from '../../models/csr.js';
import type { BlockDescent } from '../../models/sgd/block-descent.js';
import { initSgdRows } from '../../models/sgd/init-rows.js';
import { type SgdSettings, sgdColumns } from '../../models/sgd/sgd-settings.js';

export interface EpochTimes {
  /** Of the whole epoch, s. */
  seconds: number;
  /** Of all threads of this process, s: what it takes on a core of its own, also where others share it. */
  cpu: number;
  /** Of it, in the engine, s. */
  drawing: number;
  descending: number;
  loss: number;
  samples: number;
}

export interface SgdProblem {
  readonly interactions: Csr;
  readonly itemCounts: Int32Array;
  /** Users at which blocks begin, and their number. */
  readonly cuts: readonly number[];
}

/** Does one epoch from initial rows, so many blocks at once as there are threads. */
export async function blockEpoch(
  descent: BlockDescent,
  settings: SgdSettings,
  { interactions, itemCounts, cuts }: SgdProblem,
  threads: number,
): Promise<EpochTimes> {
  const columns = sgdColumns(settings.model, settings.factors);
  const users = initialRows(settings, 'users', interactions.rows, columns);
  const items = initialRows(settings, 'items', interactions.cols, columns);
  const times = { seconds: 0, cpu: 0, drawing: 0, descending: 0, loss: 0, samples: 0 };
  let next = 0;
  const work = async (): Promise<void> => {
    for (let block = next++; block + 1 < cuts.length; block = next++) {
      const [start, end] = [cuts[block]!, cuts[block + 1]!];
      const part = csrSlice(interactions, start, end);
      const draw = { runId: settings.model, settings, itemCounts, interactions: part, block };
      const drawn = await descent.draw({ ...draw, stepStart: 0, stepEnd: 1 });
      const wanted = drawn.samples.items;
      const rows = sharedFloat32(wanted.length * columns);
      for (let n = 0; n < wanted.length; n++) {
        rows.set(items.subarray(wanted[n]! * columns, (wanted[n]! + 1) * columns), n * columns);
      }
      const own = users.subarray(start * columns, end * columns);
      const task = { settings, samples: drawn.samples, users: own, items: rows };
      const { result, ms } = await descent.descend(task);
      own.set(result.users);
      for (let n = 0; n < wanted.length; n++) {
        const at = wanted[n]! * columns;
        for (let k = 0; k < columns; k++) items[at + k]! += result.deltas[n * columns + k]!;
      }
      times.drawing += drawn.ms / 1000;
      times.descending += ms / 1000;
      times.loss += result.loss;
      times.samples += result.sampleCount;
    }
  };
  const before = process.cpuUsage();
  const begin = performance.now();
  await Promise.all(Array.from({ length: threads }, work));
  times.seconds = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(before);
  times.cpu = (user + system) / 1e6;
  return times;
}

function initialRows(
  { model, factors, seed }: SgdSettings,
  side: 'users' | 'items',
  rows: number,
  columns: number,
): Float32Array {
  const out = sharedFloat32(rows * columns);
  initSgdRows(out, { model, seed, side, rowStart: 0, rowEnd: rows, factors, stdDev: 0.1 });
  return out;
}
