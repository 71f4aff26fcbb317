import os from 'node:os';
import { UsageError } from '../../common/errors.js';
import type { ParameterPlan } from '../../coordinator/plan/plan-parameters.js';
import type { PlannedShard, RunPlan } from '../../coordinator/plan/plan-run.js';
import type { RunConfig } from '../../coordinator/plan/run-config.js';
import type { FleetEstimate, FleetModel } from '../../coordinator/plan/simulate-fleet.js';
import type { Dataset } from '../../datasets/dataset.js';
import { type DeviceFacts, deviceFacts } from '../../models/device-facts.js';
import type { DeviceRequest } from '../../worker/devices/choose-device.js';
import { needsOf } from '../device-flags.js';
import type { Output } from '../output.js';
import { addParametersFlag, LOCAL_PARAMETERS, type ParametersFlag } from '../parameters-flag.js';
import { bytes, count, duration } from '../quantities.js';
import { addSettingFlags, loadRunConfig, type SettingFlags, settingsHelp } from '../run-settings.js';
import { textTable } from '../text-table.js';
import { realNumber, required, toCommand } from '../verb.js';
import { networkSpeed, workerCounts } from '../worker-counts.js';
import { addWorkerFlags, type WorkerFlags, workersOf } from '../worker-flags.js';

interface Options extends SettingFlags, WorkerFlags, ParametersFlag {
  data: string;
  simulate?: number[];
  network?: number;
  worth: number;
  svg?: string;
}

/** What the estimates are for. */
interface Fleet {
  workers: number;
  /** Of each worker. */
  threads: number;
  place: FleetModel['place'];
  /** Of each worker, as measured here. */
  device: DeviceFacts & { gflops: number };
  /** Processes that have the rows; absent: the coordinator has them. */
  parameters?: ParameterPlan;
}

/** What a plan says of time. */
interface Times {
  /** Of the number of workers given. */
  epoch: FleetEstimate;
  alone: number;
  simulation?: { estimates: FleetEstimate[]; recommended: number; worth: number };
}

/** An added worker that brings less than half of the first one costs more than it is worth to most. */
const WORTH_DEFAULT = 0.5;

export const command = toCommand<Options>({
  name: 'plan',
  summary: 'Say what a training would do',
  description:
    'Cuts a dataset into blocks as a training would, places its shards on workers, measures how fast this machine ' +
    'solves them, and estimates memory, traffic and time: on this machine, or with --network on as many like it as ' +
    'there are workers. Nothing is trained.',
  examples: [
    'stoa plan --data datasets/enrolments --workers 4 --set ials.factors=128',
    'stoa plan --data datasets/enrolments --simulate 1..64 --network 10Gbit --svg speed-up.svg',
    'stoa plan --data datasets/enrolments --workers 8 --parameters 4 --network 10Gbit',
  ],
  more: settingsHelp,
  define: (command) => {
    command
      .addOption(required('--data <dataset>', 'dataset, or a folder of "data split"'))
      .option('--simulate <numbers>', 'speed-up by workers: 1..64, or 1,2,4,8', workerCounts('--simulate'))
      .option(
        '--network <speed>',
        'each worker is a machine of its own on such links: 1Gbit, 100Mbit',
        networkSpeed('--network'),
      )
      .option(
        '--worth <share>',
        'with --simulate: what a worker must add, as a share of the first, to be recommended',
        realNumber('--worth', 0.01, 1),
        WORTH_DEFAULT,
      )
      .option('--svg <file>', 'with --simulate: write the drawing there');
    addWorkerFlags(command);
    addParametersFlag(command, LOCAL_PARAMETERS);
    addSettingFlags(command);
  },
  run: async ({ options, output }) => {
    const { planRun } = await import('../../coordinator/plan/plan-run.js');
    const { openDataset } = await import('../../datasets/dataset.js');
    const { resolveSplit } = await import('../../datasets/split/resolve-split.js');
    const config = await loadRunConfig(options);
    refuseMisfits(options, config);
    const dataset = await openDataset((await resolveSplit(options.data)).train);
    const { device: name, isa, isGpuRequired, ...given } = workersOf(options);
    const { workers } = given;
    const threads = threadsOf(options, given.threads);
    const cores = os.availableParallelism();
    const request = { isa, isGpuRequired, needs: needsOf(config) };
    const chosen = await deviceOf(name, { ...request, threads: Math.min(threads, cores) });
    const plan = planRun({
      counts: dataset.manifest,
      rowCounts: { users: await dataset.rowCounts('users'), items: await dataset.rowCounts('items') },
      shards: dataset.manifest.shards,
      config,
      workers,
      threads,
    });
    const place = options.network === undefined ? { cores } : { bytesPerSecond: options.network };
    const parameters = await parametersOf(plan, options.parameters ?? 0, workers);
    const fleet = { workers, threads, place, device: chosen.device, parameters };
    const measured = { dataset, plan, config, request, device: chosen.name };
    const times = config.model === 'ials' ? await timesOf(fleet, measured, options) : undefined;
    await answer(plan, fleet, times, options, output);
  },
});

/** Of processes that `train --parameters` would start. */
async function parametersOf(
  plan: RunPlan,
  processes: number,
  workers: number,
): Promise<ParameterPlan | undefined> {
  if (processes === 0) return undefined;
  const { planParameters } = await import('../../coordinator/plan/plan-parameters.js');
  const names = Array.from({ length: processes }, (_, n) => `parameters-${n + 1}`);
  return planParameters(plan, names, workers);
}

function refuseMisfits({ simulate, svg }: Options, { model }: RunConfig): void {
  const misfit =
    simulate !== undefined && model !== 'ials'
      ? `--simulate knows phases, and the blocks of ${model} go at clocks of their own; leave it out`
      : svg !== undefined && simulate === undefined
        ? '--svg draws what --simulate finds; add --simulate 1..64'
        : undefined;
  if (misfit !== undefined) throw new UsageError('STOA_USAGE', misfit);
}

/** A machine of its own gives all its cores; of one machine that is shared, simulated workers have one thread each. */
function threadsOf({ threads, network, simulate }: Options, shared: number): number {
  if (threads !== undefined) return threads;
  if (network !== undefined) return os.availableParallelism();
  return simulate === undefined ? shared : 1;
}

interface Measured {
  dataset: Dataset;
  plan: RunPlan;
  config: RunConfig;
  request: Omit<DeviceRequest, 'threads'>;
  /** As it was chosen. */
  device: string;
}

async function timesOf(fleet: Fleet, measured: Measured, { simulate, worth }: Options): Promise<Times> {
  const { fleetModel } = await import('../../coordinator/plan/fleet-model.js');
  const { recommendWorkers, simulateFleet } = await import('../../coordinator/plan/simulate-fleet.js');
  const { measureFleet } = await import('../measure-fleet.js');
  const { threads, workers, place, device, parameters } = fleet;
  const cores = os.availableParallelism();
  const speeds = await measureFleet({
    ...measured,
    threads: 'cores' in place ? cores : Math.min(threads, cores),
    flopsPerSecond: (device.gflops * 1e9) / device.threads,
  });
  // Only the portable device gives each thread a block of its own.
  const sharesBlocks = device.device !== 'portable';
  const model = fleetModel(measured.plan, {
    threads,
    sharesBlocks,
    place,
    speeds,
    largest: parameters?.largest,
  });
  const [alone, epoch] = simulateFleet(model, [1, workers]);
  const estimates = simulate && simulateFleet(model, simulate);
  return {
    epoch: epoch!,
    alone: alone!.secondsPerEpoch,
    simulation: estimates && { estimates, recommended: recommendWorkers(estimates, worth), worth },
  };
}

async function answer(
  plan: RunPlan,
  fleet: Fleet,
  times: Times | undefined,
  { svg, network }: Options,
  output: Output,
): Promise<void> {
  const seconds = times?.epoch.secondsPerEpoch ?? (await stepSeconds(plan, fleet));
  const lines = [planText(plan, fleet, seconds, output.width)];
  if (times?.simulation !== undefined) {
    const { estimates, recommended, worth } = times.simulation;
    if (svg !== undefined) {
      const { speedUpChart } = await import('../../coordinator/report/speed-up-chart.js');
      const { writeFileAtomic } = await import('../../common/atomic-files.js');
      await writeFileAtomic(svg, speedUpChart({ estimates, recommended }));
    }
    const { speedUpText } = await import('../speed-up-text.js');
    const where = network === undefined ? 'on this machine' : `machines on links of ${bytes(network)}/s`;
    lines.push(
      '',
      `workers of ${fleet.threads} threads, ${where}:`,
      speedUpText(estimates, recommended, { width: output.width, secondsAlone: times.alone }),
      '',
      `${recommended} recommended: up to there each adds at least ${Math.round(100 * worth)} % of what the first does.`,
      'T / N leaves out the exchange of rows, the barrier after each phase, blocks that cannot be shared evenly,',
      'the coordinator, and cores that workers share; docs/planning.md says what is left out here too.',
    );
  }
  output.answer(documentOf(plan, fleet, seconds, times), () => lines.join('\n'));
}

/** By a nominal speed: blocks that push and pull each have a thread. */
async function stepSeconds(plan: RunPlan, { workers, threads, place }: Fleet): Promise<number> {
  const { STEP_FLOPS_PER_SECOND } = await import('../../coordinator/plan/plan-step-blocks.js');
  const cores = 'cores' in place ? place.cores : workers * threads;
  const lanes = Math.min(workers * threads, cores, plan.blocks.users.length);
  return plan.estimates.flopsPerEpoch / (STEP_FLOPS_PER_SECOND * Math.max(1, lanes));
}

/** The plan without its thousands of blocks. */
function documentOf(
  { blocks, estimates, ...plan }: RunPlan,
  fleet: Fleet,
  secondsPerEpoch: number,
  times: Times | undefined,
): object {
  return {
    ...plan,
    blocks: { users: blocks.users.length, items: blocks.items.length },
    estimates: { ...estimates, secondsPerEpoch },
    ...fleet,
    ...(times === undefined ? {} : { epoch: times.epoch, simulation: simulationOf(times) }),
  };
}

function simulationOf({ simulation, alone }: Times): object | undefined {
  if (simulation === undefined) return undefined;
  const simple = simulation.estimates.map(({ workers }) => ({ workers, secondsPerEpoch: alone / workers }));
  return { ...simulation, simple };
}

/** Opens the device that a training would take here, and measures it. */
async function deviceOf(
  name: string,
  request: DeviceRequest,
): Promise<{ name: string; device: Fleet['device'] }> {
  const { chooseDevice } = await import('../../worker/devices/device-registry.js');
  const { measureSpeed } = await import('../../worker/devices/measure-speed.js');
  const { device, gflops, name: chosen } = await chooseDevice(name, request);
  try {
    return {
      name: chosen,
      device: { ...deviceFacts(device.info), gflops: gflops ?? (await measureSpeed(device)) },
    };
  } finally {
    await device.dispose();
  }
}

function planText(
  plan: RunPlan,
  { workers, threads, device, parameters }: Fleet,
  seconds: number,
  width: number,
): string {
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
    ...(parameters === undefined
      ? hereText(estimates, seconds, workers)
      : placedText(plan, seconds, parameters, width)),
  ].join('\n');
}

/** With the rows in the coordinator. */
function hereText(
  { wireBytesPerEpoch, coordinatorBytes, workerBytes }: RunPlan['estimates'],
  seconds: number,
  workers: number,
): string[] {
  const each = bytes(Math.round(wireBytesPerEpoch / workers));
  return [
    `  an epoch     ${duration(seconds)}, ${bytes(wireBytesPerEpoch)} through the coordinator, ${each} for each worker`,
    `  memory       coordinator ${bytes(coordinatorBytes)}, each worker ${bytes(workerBytes)}`,
  ];
}

/** With the rows in parameter processes. */
function placedText({ estimates }: RunPlan, seconds: number, placed: ParameterPlan, width: number): string[] {
  const { processes, coordinatorBytes, coordinatorBytesPerEpoch, workerBytesPerEpoch } = placed;
  const rows = [
    ...processes.map(({ name, share: part, memoryBytes, bytesPerEpoch }) => [
      name,
      `${Math.round(100 * part)} %`,
      bytes(memoryBytes),
      bytes(bytesPerEpoch),
    ]),
    ['coordinator', '', bytes(coordinatorBytes), bytes(coordinatorBytesPerEpoch)],
    ['each worker', '', bytes(estimates.workerBytes), bytes(workerBytesPerEpoch)],
  ];
  const header = ['', 'of the rows', 'memory', 'through its link, an epoch'];
  return [`  an epoch     ${duration(seconds)}`, '', textTable(rows, { header, width, indent: '  ' })];
}

function share(own: readonly PlannedShard[], all: readonly PlannedShard[]): string {
  return `${Math.round((100 * sum(own, 'work')) / sum(all, 'work'))} %`;
}

function sum(shards: readonly PlannedShard[], field: 'interactions' | 'work'): number {
  return shards.reduce((total, shard) => total + shard[field], 0);
}
