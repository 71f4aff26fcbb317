// How fast the threads of this machine solve the blocks of a plan.

import type { RunPlan } from '../coordinator/plan/plan-run.js';
import { objectiveOf, type RunConfig, solverOf } from '../coordinator/plan/run-config.js';
import type { ThreadSpeed } from '../coordinator/plan/simulate-fleet.js';
import type { Dataset } from '../datasets/dataset.js';
import { type Csr, csrSlice, type Side } from '../models/csr.js';
import { rowWork } from '../models/ials/work.js';
import type { DeviceRequest } from '../worker/devices/choose-device.js';
import { openDevice } from '../worker/devices/device-registry.js';
import { measureRows, type RowSpeed } from '../worker/devices/measure-rows.js';

export interface MeasureFleetOptions {
  dataset: Dataset;
  plan: RunPlan;
  config: RunConfig;
  /** The device's name, as it was chosen. */
  device: string;
  request: Omit<DeviceRequest, 'threads'>;
  /** Most threads that compute at once on one machine. */
  threads: number;
  /** Of one thread, roughly: how many rows take a short while. */
  flopsPerSecond: number;
}

/** What one thread solves in a pass: enough for the clock, and short enough that some pass is not disturbed. */
const MEASURED_SECONDS = 0.02;

/** Of one thread alone and of all together, on rows of each side. */
export async function measureFleet(options: MeasureFleetOptions): Promise<Record<Side, ThreadSpeed>> {
  const { threads } = options;
  const alone = await measureWith(1, options);
  const all = threads === 1 ? alone : await measureWith(threads, options);
  const speed = (side: Side) => ({
    alone: alone[side].flopsPerSecond,
    together: all[side].flopsPerSecond / threads,
    threads,
    prepareSeconds: alone[side].prepareSeconds,
  });
  return { users: speed('users'), items: speed('items') };
}

/** Of so many threads together. */
async function measureWith(threads: number, o: MeasureFleetOptions): Promise<Record<Side, RowSpeed>> {
  const { config, plan } = o;
  const device = await openDevice(o.device, { ...o.request, threads });
  const measure = async (side: Side) =>
    measureRows(device, {
      rows: await sampleRows(side, o),
      factors: plan.factors,
      solver: solverOf(config),
      objective: objectiveOf(config),
    });
  try {
    return { users: await measure('users'), items: await measure('items') };
  } finally {
    await device.dispose();
  }
}

/** Rows of the shard in the middle of the side's work: the first ones often have the most entries a row. */
async function sampleRows(
  side: Side,
  { dataset, plan, config, flopsPerSecond }: MeasureFleetOptions,
): Promise<Csr> {
  const shards = plan.shards[side];
  const half = shards.reduce((sum, { work }) => sum + work, 0) / 2;
  let index = 0;
  for (let before = shards[0]!.work; before < half; before += shards[index]!.work) index++;
  const { csr } = await dataset.loadRows(side, index);
  const solver = solverOf(config);
  let work = 0;
  let rows = 0;
  while (rows < csr.rows && work < flopsPerSecond * MEASURED_SECONDS) {
    work += rowWork(csr.ptr[rows + 1]! - csr.ptr[rows]!, plan.factors, solver);
    rows++;
  }
  return csrSlice(csr, 0, rows);
}
