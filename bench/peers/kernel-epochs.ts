// The process that trains with a device alone: node kernel-epochs.js REQUEST, which is JSON. Prints JSON.

import type { IalsObjective, SolverOptions } from '../../models/device.js';
import { openDevice } from '../../worker/devices/device-registry.js';
import { solveEpochs } from '../support/solve-epochs.js';
import { initialItems } from './problem.js';

export interface KernelEpochsRequest {
  dataset: string;
  device: string;
  threads: number;
  objective: IalsObjective;
  solver: SolverOptions;
  items: number;
  factors: number;
  epochs: number;
}

export interface KernelEpochs {
  epoch_seconds: number[];
  peak_rss_bytes: number;
  device: string;
}

const request = JSON.parse(process.argv[2]!) as KernelEpochsRequest;
const device = await openDevice(request.device, { threads: request.threads });
const epochSeconds = await solveEpochs({
  ...request,
  device,
  items: initialItems(request.items, request.factors),
});
const answer: KernelEpochs = {
  epoch_seconds: epochSeconds,
  peak_rss_bytes: process.resourceUsage().maxRSS * 1024,
  device: `${device.info.kind} (${device.info.name})`,
};
await device.dispose();
process.stdout.write(`${JSON.stringify(answer)}\n`);
