import type { PlannedShard, RunPlan } from '../../coordinator/plan/plan-run.js';
import { type DeviceFacts, deviceFacts } from '../../models/device-facts.js';
import type { DeviceRequest } from '../../worker/devices/choose-device.js';
import { needsOf } from '../device-flags.js';
import { bytes, count, duration } from '../quantities.js';
import { addSettingFlags, loadRunConfig, type SettingFlags, settingsHelp } from '../run-settings.js';
import { textTable } from '../text-table.js';
import { required, toCommand } from '../verb.js';
import { addWorkerFlags, type WorkerFlags, workersOf } from '../worker-flags.js';

interface Options extends SettingFlags, WorkerFlags {
  data: string;
}

/** What the estimates are for. */
interface Fleet {
  workers: number;
  /** Of each worker. */
  threads: number;
  /** Of each worker, as measured here. */
  device: DeviceFacts & { gflops: number };
}

export const command = toCommand<Options>({
  name: 'plan',
  summary: 'Say what a training would do',
  description:
    'Cuts a dataset into blocks as a training would, places its shards on workers, and estimates memory, traffic and ' +
    'time. Nothing is trained and nothing is written.',
  examples: ['stoa plan --data datasets/enrolments --workers 4 --set ials.factors=128'],
  more: settingsHelp,
  define: (command) => {
    command.addOption(required('--data <dataset>', 'dataset, or a folder of "data split"'));
    addWorkerFlags(command);
    addSettingFlags(command);
  },
  run: async ({ options, output }) => {
    const { planRun } = await import('../../coordinator/plan/plan-run.js');
    const { openDataset } = await import('../../datasets/dataset.js');
    const { resolveSplit } = await import('../../datasets/split/resolve-split.js');
    const config = await loadRunConfig(options);
    const dataset = await openDataset((await resolveSplit(options.data)).train);
    const { workers, threads, device: name, isa, isGpuRequired } = workersOf(options);
    const device = await deviceOf(name, { threads, isa, isGpuRequired, needs: needsOf(config) });
    const plan = planRun({
      counts: dataset.manifest,
      rowCounts: { users: await dataset.rowCounts('users'), items: await dataset.rowCounts('items') },
      shards: dataset.manifest.shards,
      config,
      workers,
      threads,
      flopsPerSecond: (device.gflops * 1e9) / threads,
    });
    const fleet = { workers, threads, device };
    output.answer(documentOf(plan, fleet), () => planText(plan, fleet, output.width));
  },
});

/** The plan without its thousands of blocks. */
function documentOf({ blocks, ...plan }: RunPlan, fleet: Fleet): object {
  return { ...plan, blocks: { users: blocks.users.length, items: blocks.items.length }, ...fleet };
}

/** Opens the device that a training would take here, and measures it. */
async function deviceOf(name: string, request: DeviceRequest): Promise<Fleet['device']> {
  const { chooseDevice } = await import('../../worker/devices/device-registry.js');
  const { measureSpeed } = await import('../../worker/devices/measure-speed.js');
  const { device, gflops } = await chooseDevice(name, request);
  try {
    return { ...deviceFacts(device.info), gflops: gflops ?? (await measureSpeed(device)) };
  } finally {
    await device.dispose();
  }
}

function planText(plan: RunPlan, { workers, threads, device }: Fleet, width: number): string {
  const { estimates } = plan;
  const shards = [...plan.shards.users, ...plan.shards.items];
  const perWorker = Array.from({ length: workers }, (_, worker) => {
    const own = shards.filter((shard) => shard.worker === worker);
    return [`worker ${worker + 1}`, own.length, count(sum(own, 'interactions')), share(own, shards)];
  });
  return [
    `${count(plan.interactions)} interactions of ${count(plan.users)} users with ${count(plan.items)} items, ` +
      `${plan.factors} factors`,
    `  ${plan.blocks.users.length} blocks of users and ${plan.blocks.items.length} of items, in ` +
      `${plan.shards.users.length} and ${plan.shards.items.length} shards`,
    '',
    textTable(perWorker, { header: ['', 'shards', 'entries', 'of the work'], width, indent: '  ' }),
    '',
    `estimates for ${workers} workers of ${threads} threads like this machine's (${device.name}, ${device.gflops.toPrecision(2)} GFLOP/s):`,
    `  an epoch     ${duration(estimates.secondsPerEpoch)}, ${bytes(estimates.wireBytesPerEpoch)} over the wire`,
    `  memory       coordinator ${bytes(estimates.coordinatorBytes)}, each worker ${bytes(estimates.workerBytes)}`,
  ].join('\n');
}

function share(own: readonly PlannedShard[], all: readonly PlannedShard[]): string {
  return `${Math.round((100 * sum(own, 'work')) / sum(all, 'work'))} %`;
}

function sum(shards: readonly PlannedShard[], field: 'interactions' | 'work'): number {
  return shards.reduce((total, shard) => total + shard[field], 0);
}
