// How fast the webgpu device trains, next to the other devices and to PyTorch: seconds an epoch, floating-point
// operations and bytes a second, and these as parts of what the card can do. Sides take turns; medians.
//
//   npm run bench:webgpu -- [--users 138000 --items 27000 --interactions 10000000] [--factors 64,128]
//     [--solvers cholesky,cg] [--devices webgpu,portable] [--repeats 3] [--peak-tflops N] [--peak-gbs N] [--json]
//
// --peak-tflops and --peak-gbs are the card's limits in f32 by its data sheet; without them only the rate of copies on
// the card, which is measured, stands beside the figures. On an emulated GPU (STOA_WEBGPU_ALLOW_SOFTWARE=1) the problem
// is small and the result says that it is no GPU's.

import { parseArgs } from 'node:util';
import type { SolverName } from '../models/device.js';
import { DEVICE_NAMES, openDevice } from '../worker/devices/device-registry.js';
import { copyRate } from './webgpu/copy-rate.js';
import { EpochRunner, type EpochTimes } from './webgpu/epoch-runner.js';
import { skewedInteractions } from './webgpu/skewed-interactions.js';
import { torchHalfStep } from './webgpu/torch-half-step.js';

const LARGE = { users: 138_000, items: 27_000, interactions: 10_000_000 };
/** What an emulated GPU gets through in some seconds. */
const SMALL = { users: 1500, items: 400, interactions: 30_000 };

const { values } = parseArgs({
  options: {
    users: { type: 'string' },
    items: { type: 'string' },
    interactions: { type: 'string' },
    factors: { type: 'string', default: '64' },
    solvers: { type: 'string', default: 'cholesky,cg' },
    devices: { type: 'string', default: 'webgpu,native,portable' },
    repeats: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
    'peak-tflops': { type: 'string' },
    'peak-gbs': { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

interface Result extends EpochTimes {
  device: string;
  name: string;
  software: boolean;
  factors: number;
  solver: SolverName;
  gflops: number;
  gigabytes_per_second: number;
  part_of_peak_flops?: number;
  part_of_peak_bytes?: number;
  /** Against the portable device, where it ran: times faster. */
  speedup?: number;
}

const threads = Number(values.threads);
const wanted = values.devices.split(',').filter((name) => DEVICE_NAMES.includes(name));
const devices = await Promise.all(wanted.map((name) => openDevice(name, { threads })));
const webgpu = devices.find((device) => device.info.kind === 'webgpu');
const isSoftware = webgpu?.info.isSoftware === true;
const size = isSoftware ? SMALL : LARGE;
const data = skewedInteractions({
  users: Number(values.users ?? size.users),
  items: Number(values.items ?? size.items),
  interactions: Number(values.interactions ?? size.interactions),
  seed: 1,
});

const results: Result[] = [];
for (const factors of values.factors.split(',').map(Number)) {
  for (const solver of values.solvers.split(',') as SolverName[]) await compare(factors, solver);
}
const torch = torchHalfStep(data, Number(values.factors.split(',')[0]));
const copies = webgpu === undefined ? undefined : await copyRate();
await Promise.all(devices.map((device) => device.dispose()));
print();

async function compare(factors: number, solver: SolverName): Promise<void> {
  const runners: EpochRunner[] = [];
  for (const device of devices) runners.push(await EpochRunner.start(device, data, factors, solver));
  for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
    for (const runner of runners) await runner.runEpoch();
  }
  const found = runners.map((runner, i): Result => {
    const { info } = devices[i]!;
    const times = runner.times();
    const flops = times.operations / times.median_seconds;
    const bytes = times.gathered_bytes / times.median_seconds;
    const isCard = info.kind === 'webgpu' && !info.isSoftware;
    return {
      device: info.kind,
      name: info.name,
      software: info.isSoftware,
      factors,
      solver,
      ...times,
      gflops: flops / 1e9,
      gigabytes_per_second: bytes / 1e9,
      part_of_peak_flops: isCard ? partOf(flops, values['peak-tflops'], 1e12) : undefined,
      part_of_peak_bytes: isCard ? partOf(bytes, values['peak-gbs'], 1e9) : undefined,
    };
  });
  const portable = found.find((result) => result.device === 'portable');
  for (const result of found) {
    if (portable !== undefined) result.speedup = portable.median_seconds / result.median_seconds;
    results.push(result);
  }
  for (const runner of runners) runner.dispose();
}

function partOf(rate: number, peak: string | undefined, unit: number): number | undefined {
  return peak === undefined ? undefined : rate / (Number(peak) * unit);
}

function print(): void {
  const { byUser } = data;
  const shape = { users: byUser.rows, items: byUser.cols, interactions: byUser.idx.length };
  if (values.json) {
    const document = { ...shape, software: isSoftware, copy_gigabytes_per_second: copies, torch, results };
    process.stdout.write(`${JSON.stringify(document)}\n`);
    return;
  }
  console.log(`${shape.users} users, ${shape.items} items, ${shape.interactions} interactions`);
  for (const { info } of devices) console.log(`  ${info.kind}: ${info.name}`);
  if (isSoftware) console.log('  The GPU is emulated on the CPU: these are not the figures of a GPU.');
  if (webgpu === undefined) console.log('  No webgpu device was measured.');
  console.log(
    'device     K solver     s/epoch   GFLOP/s      GB/s  of peak  loss             against portable',
  );
  for (const result of results) {
    const peak = Math.max(result.part_of_peak_flops ?? 0, result.part_of_peak_bytes ?? 0);
    console.log(
      [
        result.device.padEnd(8),
        String(result.factors).padStart(4),
        ` ${result.solver.padEnd(9)}`,
        result.median_seconds.toFixed(3).padStart(9),
        result.gflops.toFixed(1).padStart(10),
        result.gigabytes_per_second.toFixed(2).padStart(10),
        (peak === 0 ? '–' : `${(100 * peak).toFixed(0)} %`).padStart(9),
        `  ${result.loss.toExponential(6).padEnd(15)}`,
        result.speedup === undefined ? '–' : `${result.speedup.toFixed(2)}×`,
      ].join(''),
    );
  }
  if (copies !== undefined)
    console.log(`copies on the device: ${copies.toFixed(1)} GB/s read and as many written`);
  console.log(
    'reason' in torch
      ? `PyTorch: not measured (${torch.reason})`
      : `PyTorch ${torch.version} on ${torch.device}: the users' half-step by Cholesky, K = ${torch.factors}, ${torch.seconds.toFixed(3)} s`,
  );
}
