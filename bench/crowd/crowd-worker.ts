// One of many workers of a process: a connection of its own, heartbeats, leases that it holds for a while and gives
// back. It solves nothing.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostPort } from '../../common/addresses.js';
import type { Random } from '../../common/random.js';
import { STOA_VERSION } from '../../common/version.js';
import { CONTROL, CoordinatorLink } from '../../worker/coordinator-link.js';

/** What the workers of a crowd did together. */
export interface CrowdCounts {
  joined: number;
  heartbeats: number;
  leases: number;
  /** Calls that failed: none is expected. */
  failures: number;
  /** From asking to the answer. */
  heartbeatMs: number[];
  /** The last error, for whoever looks for why. */
  lastFailure: string;
}

export interface CrowdWorkerOptions {
  name: string;
  address: HostPort;
  counts: CrowdCounts;
  random: Random;
  /** How long a block is held, on average. */
  holdMs: number;
  signal: AbortSignal;
}

/** As a worker asks. */
const WAIT_SECONDS = 10;

/** Resolves when the signal has aborted. */
export async function beCrowdWorker(options: CrowdWorkerOptions): Promise<void> {
  const { name, address, counts, signal } = options;
  const link = new CoordinatorLink(address, {});
  try {
    const registered = await link.call(
      link.control,
      CONTROL.RegisterWorker,
      {
        name,
        threads: 1,
        version: STOA_VERSION,
        device: 'portable',
        deviceDetail: 'one of a crowd',
        reproducibilityKey: 'crowd',
        solvers: ['cholesky', 'cg', 'ials++'],
        gathers: ['f32'],
        factorsMax: 1024,
        exchange: '',
      },
      { timeoutMs: 60_000 },
    );
    counts.joined++;
    const { sessionId } = registered;
    const intervalMs = Number(registered.heartbeatInterval!.seconds) * 1000;
    await Promise.all([beat(link, sessionId, intervalMs, options), work(link, sessionId, options)]);
  } catch (error) {
    if (!signal.aborted) fail(counts, error);
  } finally {
    link.close();
  }
}

async function beat(
  link: CoordinatorLink,
  sessionId: string,
  intervalMs: number,
  { counts, random, signal }: CrowdWorkerOptions,
): Promise<void> {
  await pause(random.next() * intervalMs, signal);
  while (!signal.aborted) {
    const startMs = performance.now();
    try {
      await link.call(
        link.control,
        CONTROL.Heartbeat,
        { sessionId, rssBytes: 0, peakRssBytes: 0 },
        { signal },
      );
      counts.heartbeats++;
      counts.heartbeatMs.push(performance.now() - startMs);
    } catch (error) {
      if (!signal.aborted) fail(counts, error);
    }
    await pause(intervalMs - (performance.now() - startMs), signal);
  }
}

async function work(
  link: CoordinatorLink,
  sessionId: string,
  { counts, random, holdMs, signal }: CrowdWorkerOptions,
): Promise<void> {
  const waitDuration = { seconds: WAIT_SECONDS, nanos: 0 };
  while (!signal.aborted) {
    try {
      const request = { sessionId, requestId: randomUUID(), count: 1, waitDuration };
      const timeoutMs = 2000 * WAIT_SECONDS;
      const { leases } = await link.call(link.control, CONTROL.LeaseBlocks, request, { signal, timeoutMs });
      if (leases.length === 0) continue;
      counts.leases += leases.length;
      await pause(2 * random.next() * holdMs, signal);
      const leaseIds = leases.map(({ leaseId }) => leaseId);
      const returned = { sessionId, leaseIds, reason: '', errorCode: '' };
      await link.call(link.control, CONTROL.ReturnLeases, returned, { signal });
    } catch (error) {
      if (signal.aborted) return;
      fail(counts, error);
      await pause(1000, signal);
    }
  }
}

function fail(counts: CrowdCounts, error: unknown): void {
  counts.failures++;
  counts.lastFailure = String(error);
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.max(0, ms), undefined, { signal }).catch(() => {});
}
