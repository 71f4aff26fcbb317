// A worker process: opens its device, finds a coordinator, works, comes back after losses, leaves when told to.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { HostPort } from '../common/addresses.js';
import { DeviceError, messageOf, StateError, UsageError } from '../common/errors.js';
import type { TlsOptions } from '../common/grpc-security.js';
import type { ComputeDevice } from '../models/device.js';
import { CoordinatorLink } from './coordinator-link.js';
import { openDevice } from './devices/device-registry.js';
import { runSession } from './session.js';
import { ShardCache } from './shard-cache.js';

/** First and longest pause between two tries to reach a coordinator. */
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 3000;
/** Longer than a coordinator takes to restart, with its machine. */
const RECONNECT_MS = 10 * 60_000;

export interface WorkerOptions {
  /** Tried in turn. */
  coordinators: HostPort[];
  /** Shown to people. */
  name: string;
  /** Blocks solved at once. */
  threads: number;
  /** `auto` or a kind of device. */
  device: string;
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
}

/**
 * Works until `signal` aborts, then gives leases back and resolves.
 *
 * @throws {SystemError} `STOA_UNREACHABLE`: no coordinator answered for `reconnectForMs`; {DeviceError} the device does
 *   not work or was lost; {StateError} `STOA_VERSION`: the coordinator has another major version.
 */
export async function runWorker(options: WorkerOptions): Promise<void> {
  const device = await openDevice(options.device, { threads: options.threads });
  try {
    await workWith(device, options);
  } finally {
    await device.dispose();
  }
}

async function workWith(device: ComputeDevice, options: WorkerOptions): Promise<void> {
  const { coordinators, signal, log, reconnectForMs = RECONNECT_MS, transfer = 'auto' } = options;
  const shards = new ShardCache();
  let lastJoinedMs = performance.now();
  let failures = 0;
  for (let turn = 0; !signal.aborted; turn++) {
    const link = new CoordinatorLink(coordinators[turn % coordinators.length]!, options.tls);
    try {
      await runSession({ ...options, link, device, shards, transfer });
      lastJoinedMs = performance.now();
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      if (isFinal(error) || performance.now() - lastJoinedMs > reconnectForMs) throw error;
      if (failures === 0) log.warn(`${messageOf(error)}; trying again`);
      failures++;
    } finally {
      link.close();
    }
    await sleep(backoffMs(failures), undefined, { signal }).catch(() => {});
  }
}

/** What waiting does not mend. */
function isFinal(error: unknown): boolean {
  return error instanceof DeviceError || error instanceof StateError || error instanceof UsageError;
}

/** Doubling pauses, of which a random part is taken: workers that lost one coordinator do not return in step. */
function backoffMs(failures: number): number {
  const longest = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** failures);
  return longest / 2 + (Math.random() * longest) / 2;
}
