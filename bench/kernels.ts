// How fast each kernel of each device is, beside what this machine can do at most: a tuned matrix product and a copy of
// memory, measured in the same run before and after.
//
//   npm run bench:kernels -- [--data DATASET | --mooc | --file FILE] [--factors 64,128] [--threads N]
//     [--devices native,portable] [--json]
//
// Through ComputeDevice, as workers and servers use it: copies of arguments and results are part of the time.
// GB/s are the bytes of factors that a kernel cannot do without; where they exceed the copy, a cache gave them.

import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../common/errors.js';
import { packageRoot } from '../common/package-root.js';
import { openDataset } from '../datasets/dataset.js';
import { DEVICE_NAMES, openDevice } from '../worker/devices/device-registry.js';
import { type KernelData, kernelCases } from './kernels/kernel-cases.js';
import { type CaseTime, timeCase } from './kernels/time-case.js';
import { benchData, DATA_OPTIONS } from './support/bench-data.js';
import { machineLine } from './support/machine-line.js';
import { markdownTable } from './support/markdown-table.js';
import { pythonEnvironment } from './support/python-environment.js';
import { runJson } from './support/run-json.js';

/** A tenth of a second, about, of the slowest device in the list and of the others. */
const FLOPS_TARGET = { portable: 0.3e9, other: 2e9 };

interface Ceilings {
  sgemm_gflops: number;
  copy_gbps: number;
  blas: string;
}

interface KernelRow extends CaseTime {
  device: string;
  kernel: string;
  factors: number;
  gflops: number;
  gbps: number;
}

const { values } = parseArgs({
  options: {
    ...DATA_OPTIONS,
    factors: { type: 'string', default: '64,128' },
    threads: { type: 'string', default: String(os.availableParallelism()) },
    devices: { type: 'string', default: DEVICE_NAMES.filter((name) => name !== 'auto').join(',') },
    json: { type: 'boolean', default: false },
  },
});

const threads = Number(values.threads);
const data = await benchData(values);
const users = await (await openDataset(data.train)).loadCsr('users');
const before = measureCeilings();
const rows: KernelRow[] = [];
const missing: { device: string; reason: string }[] = [];
for (const device of values.devices.split(',')) await measureDevice(device);
const after = measureCeilings();
const ceilings = {
  sgemm_gflops: Math.max(before.sgemm_gflops, after.sgemm_gflops),
  copy_gbps: Math.max(before.copy_gbps, after.copy_gbps),
  blas: before.blas,
};
print();

async function measureDevice(name: string): Promise<void> {
  const device = await openDevice(name, { threads }).catch((error: unknown) => {
    missing.push({ device: name, reason: messageOf(error) });
  });
  if (device === undefined) return;
  const flopsTarget = name === 'portable' ? FLOPS_TARGET.portable : FLOPS_TARGET.other;
  const kernelData: KernelData = { users, typicalUser: typicalUser(), flopsTarget };
  for (const factors of values.factors.split(',').map(Number)) {
    for (const one of await kernelCases(device, kernelData, factors)) {
      console.error(`${name}: ${one.kernel}, K = ${factors}…`);
      // A device with a thread for each block is busy only with as many blocks as it has threads.
      const lanes = one.isLatency ? 1 : Math.min(threads, device.capabilities.blocksInFlight);
      const time = await timeCase(one, lanes);
      const { kernel, flops, bytes } = one;
      const gflops = flops / time.ms / 1e6;
      rows.push({ device: name, kernel, factors, ...time, gflops, gbps: bytes / time.ms / 1e6 });
    }
  }
  await device.dispose();
}

function typicalUser(): number {
  const counts = Array.from({ length: users.rows }, (_, row) => ({
    row,
    count: users.ptr[row + 1]! - users.ptr[row]!,
  }));
  return counts.sort((a, b) => a.count - b.count)[users.rows >> 1]!.row;
}

function measureCeilings(): Ceilings {
  const { OPENBLAS_CORETYPE, OPENBLAS_L2_SIZE, ...rest } = process.env;
  const env = { ...rest, OPENBLAS_NUM_THREADS: values.threads };
  const script = path.join(packageRoot, 'bench/kernels/ceilings.py');
  return runJson<Ceilings>(pythonEnvironment(), [script, values.threads], env);
}

function print(): void {
  if (values.json) {
    const facts = { machine: machineLine(), data: data.name, threads, ceilings, missing };
    process.stdout.write(`${JSON.stringify({ ...facts, kernels: rows })}\n`);
    return;
  }
  console.log(machineLine());
  console.log(
    `${threads} threads; sgemm ${ceilings.sgemm_gflops.toFixed(0)} GFLOP/s (${ceilings.blas}), copy ${ceilings.copy_gbps.toFixed(1)} GB/s`,
  );
  for (const { device, reason } of missing) console.log(`not measured: ${device}: ${reason}`);
  const head = ['device', 'kernel', 'K', 'ms', 'p99 ms', 'GFLOP/s', 'of sgemm', 'GB/s', 'of copy'];
  const cells = rows.map((row) => [
    row.device,
    row.kernel,
    row.factors,
    row.ms.toPrecision(3),
    row.msP99.toPrecision(3),
    ...(row.ms > 0
      ? [
          row.gflops.toFixed(1),
          share(row.gflops, ceilings.sgemm_gflops),
          row.gbps.toFixed(1),
          share(row.gbps, ceilings.copy_gbps),
        ]
      : // A difference of two times that noise has turned over.
        ['–', '–', '–', '–']),
  ]);
  console.log(`\n${markdownTable(head, cells)}`);
}

function share(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(0)} %`;
}
