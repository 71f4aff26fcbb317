// One session with a coordinator: register, heartbeats, leases, and a clean end.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { DeviceError, FencedError, messageOf, type StoaError } from '../common/errors.js';
import { ExchangeFile } from '../common/exchange-file.js';
import { STOA_VERSION } from '../common/version.js';
import type { ComputeDevice, DeviceInfo } from '../models/device.js';
import { textFacts } from '../models/device-facts.js';
import { reproducibilityKey } from '../models/reproducibility-key.js';
import type { Duration__Output } from '../proto/generated/google/protobuf/Duration.js';
import type { FixedGram } from '../proto/generated/stoa/training/v1/FixedGram.js';
import type { LeaseBlocksResponse__Output } from '../proto/generated/stoa/training/v1/LeaseBlocksResponse.js';
import type { RegisterWorkerResponse__Output } from '../proto/generated/stoa/training/v1/RegisterWorkerResponse.js';
import type { StepDevice as StepDeviceMessage } from '../proto/generated/stoa/training/v1/StepDevice.js';
import { BlockRunner } from './block-runner.js';
import { CONTROL, type CoordinatorLink } from './coordinator-link.js';
import type { LeaderTerms } from './leader-terms.js';
import type { ShardCache } from './shard-cache.js';
import type { StepDevice } from './steps/step-device.js';

/** How long one request for leases may wait at the coordinator, and its answer be on the way. */
const LEASE_WAIT_MS = 10_000;
const LEASE_CALL_MS = LEASE_WAIT_MS + 5000;
/** Between two tries of what failed. */
const RETRY_MS = 300;
/** A run that this device cannot solve: ask again when another may have begun. */
const UNSUITABLE_MS = 5000;
/** Bounds of what is told of the device, in characters that are mostly bytes. */
const FACTS_MAX = 32;
const FACT_LENGTH_MAX = 128;
const KEY_LENGTH_MAX = 512;
/** For the calls of a worker that leaves. */
const GOODBYE_MS = 2000;

export interface SessionOptions {
  link: CoordinatorLink;
  device: ComputeDevice;
  /** What does the steps of models that push and pull. */
  steps: StepDevice;
  /** Steps have no kernels for GPUs: a worker that is to compute on nothing else does none. */
  isGpuRequired?: boolean;
  /** Its measured speed; 0: unknown. */
  gflops: number;
  shards: ShardCache;
  cacheDir: string;
  name: string;
  threads: number;
  log: Logger;
  /** The worker is to leave. */
  signal: AbortSignal;
  /** `auto`: rows go through memory where the coordinator is on this machine; `grpc`: always over the connection. */
  transfer: 'auto' | 'grpc';
  terms: LeaderTerms;
}

/**
 * Works until the session ends.
 *
 * @returns `left`: the worker was told to leave, and its leases are given back; `over`: the coordinator ended the
 *   session or does not answer any more.
 * @throws {SystemError} the coordinator cannot be reached to register; {DeviceError} `STOA_DEVICE_LOST`;
 *   {StateError} `STOA_VERSION`.
 */
export async function runSession(options: SessionOptions): Promise<'left' | 'over'> {
  const file = options.transfer === 'auto' ? ExchangeFile.create() : undefined;
  let exchange: ExchangeFile | undefined;
  try {
    const registered = await register(options, file?.name ?? '');
    options.terms.observe(Number(registered.term), options.link.target);
    if (registered.usesExchange) exchange = file;
    options.log.info({ coordinator: options.link.target, exchange: exchange !== undefined }, 'joined');
    file?.unlink();
    return await new Session({ ...options, exchange }, registered).run();
  } finally {
    file?.unlink();
    file?.close();
  }
}

async function register(options: SessionOptions, exchange: string) {
  const { link, device, steps, gflops, name, threads, signal } = options;
  const { info, capabilities } = device;
  const request = {
    name,
    threads,
    device: info.kind,
    deviceDetail: info.name,
    deviceFacts: factsToSend(info),
    reproducibilityKey: reproducibilityKey(info).slice(0, KEY_LENGTH_MAX),
    gflops,
    solvers: [...capabilities.solvers, ...(options.isGpuRequired === true ? [] : ['sgd'])],
    gathers: [...capabilities.gathers],
    factorsMax: capabilities.factorsMax,
    version: STOA_VERSION,
    exchange,
    stepDevice: steps.info === info ? undefined : stepDeviceOf(steps.info),
  };
  return link.call(link.control, CONTROL.RegisterWorker, request, { signal });
}

function stepDeviceOf(info: DeviceInfo): StepDeviceMessage {
  return {
    device: info.kind,
    deviceDetail: info.name,
    deviceFacts: factsToSend(info),
    reproducibilityKey: reproducibilityKey(info).slice(0, KEY_LENGTH_MAX),
  };
}

/** As the coordinator bounds them: what is too long to tell is cut, what is too much is left out. */
function factsToSend(info: DeviceInfo): Record<string, string> {
  const facts = { ...textFacts(info.detail), software: String(info.isSoftware) };
  const short = Object.entries(facts).map(([key, value]) => [key, value.slice(0, FACT_LENGTH_MAX)]);
  return Object.fromEntries(short.slice(-FACTS_MAX));
}

class Session {
  readonly #o: SessionOptions;
  readonly #sessionId: string;
  readonly #heartbeatMs: number;
  readonly #timeoutMs: number;
  /** Aborts when the session ends, for whatever reason. */
  readonly #end = new AbortController();
  readonly #ended = new Promise<void>((resolve) => {
    this.#end.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  readonly #runner: BlockRunner;
  #deviceFailure: DeviceError | undefined;
  /** Of the last run that the coordinator said is about to begin. */
  #preparedRunId = '';
  /** Which Gram came last with leases. */
  #knownGram: FixedGram | null = null;
  /** Why the run in progress is not for this device: said once. */
  #unsuitable = '';

  constructor(
    options: SessionOptions & { exchange?: ExchangeFile },
    registered: RegisterWorkerResponse__Output,
  ) {
    this.#o = options;
    this.#sessionId = registered.sessionId;
    this.#heartbeatMs = toMs(registered.heartbeatInterval);
    this.#timeoutMs = toMs(registered.sessionTimeout);
    this.#runner = new BlockRunner({
      ...options,
      sessionId: this.#sessionId,
      signal: this.#end.signal,
      giveBack: (leaseId, failure) => this.#giveBack([leaseId], failure),
    });
  }

  async run(): Promise<'left' | 'over'> {
    const { signal, device } = this.#o;
    const leave = () => this.#end.abort();
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    device.lost.then(({ message }) => {
      if (!this.#end.signal.aborted) this.#deviceFailure = new DeviceError('STOA_DEVICE_LOST', message);
      this.#end.abort();
    });
    try {
      await Promise.all([this.#sendHeartbeats(), this.#leaseBlocks()]);
    } finally {
      this.#end.abort();
      signal.removeEventListener('abort', leave);
      if (signal.aborted || this.#deviceFailure !== undefined) await this.#goodbye();
      await this.#runner.dispose();
    }
    if (this.#deviceFailure !== undefined) throw this.#deviceFailure;
    return signal.aborted ? 'left' : 'over';
  }

  async #sendHeartbeats(): Promise<void> {
    const { link, log } = this.#o;
    let lastHeardMs = performance.now();
    while (!this.#end.signal.aborted) {
      try {
        const request = {
          sessionId: this.#sessionId,
          rssBytes: process.memoryUsage.rss(),
          peakRssBytes: process.resourceUsage().maxRSS * 1024,
        };
        const { isDraining } = await link.call(link.control, CONTROL.Heartbeat, request, {
          signal: this.#end.signal,
          timeoutMs: this.#timeoutMs / 2,
        });
        lastHeardMs = performance.now();
        if (isDraining) {
          log.info('the coordinator is shutting down');
          await this.#goodbye();
          this.#end.abort();
        }
      } catch (error) {
        if (this.#end.signal.aborted) return;
        const isSilent = performance.now() - lastHeardMs > this.#timeoutMs;
        if (error instanceof FencedError || isSilent) this.#isOver(error);
      }
      await this.#pause(this.#heartbeatMs);
    }
  }

  async #leaseBlocks(): Promise<void> {
    while (!this.#end.signal.aborted) {
      if (this.#runner.room === 0) {
        await Promise.race([this.#runner.freed(), this.#ended]);
        continue;
      }
      const { leases, fixedGram } = await this.#requestLeases(this.#runner.room);
      for (const lease of leases) {
        this.#runner.take(lease, fixedGram).catch((error: unknown) => {
          this.#o.log.error({ err: error }, 'a block could not be accounted for');
        });
      }
    }
  }

  #isOver(error: unknown): void {
    this.#o.log.warn(`the session has ended: ${messageOf(error)}`);
    this.#end.abort();
  }

  /** Asks until there is an answer; what is asked again is the same request. */
  async #requestLeases(count: number): Promise<Pick<LeaseBlocksResponse__Output, 'leases' | 'fixedGram'>> {
    const { link, log } = this.#o;
    const request = {
      sessionId: this.#sessionId,
      requestId: randomUUID(),
      count,
      waitDuration: { seconds: LEASE_WAIT_MS / 1000, nanos: 0 },
    };
    while (!this.#end.signal.aborted) {
      try {
        const options = { signal: this.#end.signal, timeoutMs: LEASE_CALL_MS };
        const prepared = { runId: this.#preparedRunId };
        const asked = { ...request, prepared, knownGram: this.#knownGram };
        const answer = await link.call(link.control, CONTROL.LeaseBlocks, asked, options);
        if (answer.fixedGram !== null) this.#knownGram = { ...answer.fixedGram, gram: null };
        if (answer.prepare === null) return answer;
        this.#preparedRunId = answer.prepare.runId;
        this.#runner.prepare(answer.prepare);
      } catch (error) {
        if (this.#end.signal.aborted) break;
        if (error instanceof FencedError) this.#isOver(error);
        else if (error instanceof DeviceError) {
          if (error.message !== this.#unsuitable) log.warn(error.message);
          this.#unsuitable = error.message;
          await this.#pause(UNSUITABLE_MS);
          break;
        } else await this.#pause(RETRY_MS);
      }
    }
    return { leases: [], fixedGram: null };
  }

  async #giveBack(leaseIds: readonly number[], failure?: StoaError): Promise<void> {
    const { link, log } = this.#o;
    const request = {
      sessionId: this.#sessionId,
      leaseIds: [...leaseIds],
      reason: failure?.message.slice(0, 1024) ?? '',
      errorCode: failure?.code ?? '',
    };
    try {
      await link.call(link.control, CONTROL.ReturnLeases, request, { timeoutMs: GOODBYE_MS });
    } catch (error) {
      // The coordinator finds out by the lease's deadline.
      log.debug(`leases could not be given back: ${(error as Error).message}`);
    }
    // A cause that stays must not make a busy loop of failures.
    await this.#pause(RETRY_MS);
  }

  async #goodbye(): Promise<void> {
    const { link } = this.#o;
    const request = { sessionId: this.#sessionId };
    // Without an answer the session ends by its timeout.
    await link.call(link.control, CONTROL.EndSession, request, { timeoutMs: GOODBYE_MS }).catch(() => {});
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#end.signal }).catch(() => {});
  }
}

function toMs(duration: Duration__Output | null): number {
  return duration === null ? 0 : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
