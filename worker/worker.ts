// A worker process: opens its device, finds a coordinator, works, comes back after losses, leaves when told to.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type HostPort, parseAddress } from '../common/addresses.js';
import { DeviceError, FencedError, messageOf, StateError, UsageError } from '../common/errors.js';
import type { TlsOptions } from '../common/grpc-security.js';
import type { InstructionSet } from '../models/device.js';
import { CoordinatorLink } from './coordinator-link.js';
import type { DeviceChoice, DeviceRequest } from './devices/choose-device.js';
import { chooseDevice } from './devices/device-registry.js';
import { LeaderTerms } from './leader-terms.js';
import { runSession } from './session.js';
import { ShardCache } from './shard-cache.js';
import { openStepDevice, type StepDevice } from './steps/step-device.js';

/** First and longest pause between two tries to reach a coordinator. */
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 500;
/** Longer than a coordinator takes to restart, with its machine. */
const RECONNECT_MS = 10 * 60_000;
/** A device that is lost more often than this will not stay. */
const LOSSES_MAX = 3;

export interface WorkerOptions {
  /** Tried in turn. */
  coordinators: HostPort[];
  /** Shown to people. */
  name: string;
  /** Blocks solved at once. */
  threads: number;
  /** A name of `--device`. */
  device: string;
  /** Instruction set of the native device. @default the widest */
  isa?: InstructionSet;
  /** Leave rather than compute on what is no real GPU. @default false */
  isGpuRequired?: boolean;
  tls: TlsOptions;
  /** Where fetched shards are kept. */
  cacheDir: string;
  log: Logger;
  /** Aborts when the worker is to leave. */
  signal: AbortSignal;
  /** How rows travel, see `SessionOptions`. @default `auto` */
  transfer?: 'auto' | 'grpc';
  /** How long to look for a coordinator that is not there. @default 10 minutes */
  reconnectForMs?: number;
  /** How a device is opened. @default from the devices of this build */
  openDevice?: (name: string, request: DeviceRequest) => Promise<DeviceChoice>;
}

/**
 * Works until `signal` aborts, then gives leases back and resolves. A device that is lost is opened again, a few times.
 *
 * @throws {SystemError} `STOA_UNREACHABLE`: no coordinator answered for `reconnectForMs`; {DeviceError} the device does
 *   not work, or `STOA_DEVICE_LOST`: it was lost for good; {StateError} `STOA_VERSION`: the coordinator has another
 *   major version.
 */
export async function runWorker(options: WorkerOptions): Promise<void> {
  let choice = await open(options, options.device);
  for (let losses = 1; ; losses++) {
    const loss = await workUntilLoss(choice, options);
    if (loss === undefined) return;
    if (losses > LOSSES_MAX || options.signal.aborted) throw loss;
    options.log.warn(`${loss.message}; opening device "${choice.name}" again`);
    choice = await reopen(options, choice.name, loss);
  }
}

async function open({ log, ...options }: WorkerOptions, name: string): Promise<DeviceChoice> {
  const { threads, isa, isGpuRequired, openDevice = chooseDevice } = options;
  const choice = await openDevice(name, { threads, isa, isGpuRequired });
  const { info } = choice.device;
  log.info(
    { device: info.kind, threads: info.threads, ...info.detail },
    `computes on ${info.name}: ${choice.reason}`,
  );
  for (const { name: other, reason, remedy } of choice.passedOver) {
    log.debug({ device: other, remedy }, `not on ${other}: ${reason}`);
  }
  return choice;
}

/** Works until the worker is to leave, or until the device is lost: then answers why. The device is disposed of. */
async function workUntilLoss(choice: DeviceChoice, options: WorkerOptions): Promise<DeviceError | undefined> {
  let steps: StepDevice | undefined;
  try {
    steps = await openStepDevice(choice.device, options.threads);
    await workWith(choice, steps, options);
    return undefined;
  } catch (error) {
    if (error instanceof DeviceError && error.code === 'STOA_DEVICE_LOST') return error;
    throw error;
  } finally {
    // What is lost may not even be disposed of, and has said so already.
    await choice.device.dispose().catch(() => {});
    await steps?.dispose();
  }
}

/** Another device would not give the same bits: the one that was lost, or none. */
async function reopen(options: WorkerOptions, name: string, loss: DeviceError): Promise<DeviceChoice> {
  try {
    return await open(options, name);
  } catch (error) {
    throw new DeviceError(
      'STOA_DEVICE_LOST',
      `${loss.message}, and device "${name}" cannot be opened again: ${messageOf(error)}; the worker leaves`,
      { cause: error },
    );
  }
}

async function workWith(
  { device, gflops = 0 }: DeviceChoice,
  steps: StepDevice,
  options: WorkerOptions,
): Promise<void> {
  const { coordinators, signal, log, reconnectForMs = RECONNECT_MS, transfer = 'auto' } = options;
  const shards = new ShardCache();
  const terms = new LeaderTerms();
  let lastJoinedMs = performance.now();
  let failures = 0;
  let turn = 0;
  let address = coordinators[0]!;
  while (!signal.aborted) {
    const link = new CoordinatorLink(address, options.tls);
    address = coordinators[++turn % coordinators.length]!;
    try {
      await runSession({ ...options, link, device, steps, gflops, shards, transfer, terms });
      lastJoinedMs = performance.now();
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      if (isFinal(error) || performance.now() - lastJoinedMs > reconnectForMs) throw error;
      if (failures === 0) log.warn(`${messageOf(error)}; trying again`);
      failures++;
      address = leaderNamedBy(error) ?? address;
    } finally {
      link.close();
    }
    await sleep(backoffMs(failures, coordinators.length), undefined, { signal }).catch(() => {});
  }
}

/** What waiting does not mend. */
function isFinal(error: unknown): boolean {
  return error instanceof DeviceError || error instanceof StateError || error instanceof UsageError;
}

/** The leader that a coordinator which does not lead names. */
function leaderNamedBy(error: unknown): HostPort | undefined {
  const leader = error instanceof FencedError ? error.fields['leader'] : undefined;
  return typeof leader === 'string' && leader !== '' ? parseAddress(leader, 'leader') : undefined;
}

/**
 * Pauses that double once all coordinators were tried, of which a random part is taken: workers that lost one do not
 * return in step.
 */
function backoffMs(failures: number, coordinators: number): number {
  const longest = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.floor(failures / coordinators));
  return longest / 2 + (Math.random() * longest) / 2;
}
