// Solves leased blocks: fetches what each needs, computes on the device, delivers.

import type { Logger } from 'pino';
import { roundToBfloat16 } from '../common/bfloat16.js';
import {
  CorruptError,
  DeviceError,
  FencedError,
  messageOf,
  NumericError,
  StoaError,
} from '../common/errors.js';
import type { ExchangeFile } from '../common/exchange-file.js';
import { sideOf } from '../common/sides.js';
import { Slots } from '../common/slots.js';
import { csrSlice, otherSide, type Side } from '../models/csr.js';
import type { BlockResult, ComputeDevice } from '../models/device.js';
import { readsPrior } from '../models/ials/reads-prior.js';
import type { BlockLease__Output } from '../proto/generated/stoa/training/v1/BlockLease.js';
import type { FixedGram__Output } from '../proto/generated/stoa/training/v1/FixedGram.js';
import type { PrepareRun__Output } from '../proto/generated/stoa/training/v1/PrepareRun.js';
import { CONTROL, type CoordinatorLink } from './coordinator-link.js';
import { type DatasetSource, openSource } from './dataset-source.js';
import { pushBlock } from './push-block.js';
import { RowMemory } from './row-memory.js';
import { openRunMirror, type RunMirror } from './run-mirror.js';
import type { ShardCache, ShardRows } from './shard-cache.js';
import type { StepDevice } from './steps/step-device.js';
import { StepRunner } from './steps/step-runner.js';

export interface BlockRunnerOptions {
  link: CoordinatorLink;
  device: ComputeDevice;
  steps: StepDevice;
  shards: ShardCache;
  cacheDir: string;
  log: Logger;
  sessionId: string;
  /** Absent: rows travel in messages. */
  exchange?: ExchangeFile;
  /** Ends everything under way. */
  signal: AbortSignal;
  /** Gives a lease back: without a word, or with why its block failed. */
  giveBack: (leaseId: number, failure?: StoaError) => Promise<void>;
}

/** What goes on for one run at one phase; a lease of a later phase ends it. */
interface PhaseScope {
  runId: string;
  phase: number;
  abort: AbortController;
}

/** Why work was ended: nothing to report, nobody waits for the result. */
class Superseded extends Error {}

export class BlockRunner {
  readonly #o: BlockRunnerOptions;
  readonly #solving: Slots;
  readonly #stepping: Slots;
  /** How many blocks it is worth having at work at once: of rows that are solved, and of steps, each in one thread. */
  readonly #inFlightOf: { readonly solving: number; readonly stepping: number };
  /** Of the run whose lease came last. */
  #inFlight: number;
  /** Leases whose blocks wait or are computed, and those whose results are on their way. */
  readonly #leases = { unsolved: 0, delivering: 0 };
  readonly #memory = new RowMemory();
  #scope: PhaseScope | undefined;
  #run: { runId: string; mirror: Promise<RunMirror> } | undefined;
  readonly #steps: StepRunner;
  #freed: (() => void) | undefined;

  constructor(options: BlockRunnerOptions) {
    this.#o = options;
    const solving = options.device.capabilities.blocksInFlight;
    // One more than threads: while it is pulled or pushed, a block computes nothing.
    this.#inFlightOf = { solving, stepping: Math.max(solving, options.steps.info.threads + 1) };
    this.#inFlight = solving;
    this.#solving = new Slots(solving);
    this.#stepping = new Slots(this.#inFlightOf.stepping);
    this.#steps = new StepRunner(options);
  }

  /**
   * How many more leases to ask for: what the device computes at once, and as many waiting behind. 0 until half of them
   * are solved, so that one request brings several, and while as many are still on their way to the coordinator.
   */
  get room(): number {
    const room = 2 * this.#inFlight - this.#leases.unsolved;
    const isBehind = this.#leases.delivering > 2 * this.#inFlight;
    return room >= Math.ceil(this.#inFlight / 2) && !isBehind ? room : 0;
  }

  /** Resolves when there may be more room. */
  freed(): Promise<void> {
    return new Promise((resolve) => {
      this.#freed = resolve;
    });
  }

  /** Reads what the first blocks of a run will need, while there are none. What fails is found out by those blocks. */
  async prepare({ runId, userShards, itemShards }: PrepareRun__Output): Promise<void> {
    const { link, cacheDir, shards, signal, log } = this.#o;
    try {
      // Of the data alone: where the rows will be may not be decided yet.
      const spec = await link.call(link.data, CONTROL.GetRunSpec, { runId }, { signal });
      const source = await openSource(spec, link, cacheDir);
      const wanted = [
        ...userShards.map((shard) => ({ side: 'users' as const, shard })),
        ...itemShards.map((shard) => ({ side: 'items' as const, shard })),
      ];
      for (const { side, shard } of wanted) {
        if (signal.aborted || shards.isFull) return;
        await this.#shardOf(source, side, shard);
      }
    } catch (error) {
      log.debug({ run: runId }, `could not prepare: ${messageOf(error)}`);
    }
  }

  /** Takes up a lease, with the Gram that came with it. Its outcome, good or bad, goes to the coordinator. */
  async take(lease: BlockLease__Output, fixedGram: FixedGram__Output | null): Promise<void> {
    const scope = this.#scopeOf(lease);
    this.#inFlight = lease.stepEnd === 0 ? this.#inFlightOf.solving : this.#inFlightOf.stepping;
    const signal = AbortSignal.any([scope.abort.signal, this.#o.signal]);
    try {
      const deliver = await this.#counted('unsolved', async () => {
        if (lease.stepEnd === 0) return this.#solve(lease, fixedGram, signal);
        await this.#stepping.hold(() => this.#steps.solve(lease, signal));
        return undefined;
      });
      if (deliver !== undefined) await this.#counted('delivering', deliver);
    } catch (error) {
      if (!signal.aborted) await this.#report(lease, error);
    }
  }

  async #counted<T>(what: 'unsolved' | 'delivering', task: () => Promise<T>): Promise<T> {
    this.#leases[what]++;
    try {
      return await task();
    } finally {
      this.#leases[what]--;
      this.#freed?.();
    }
  }

  /** Frees the tables. */
  async dispose(): Promise<void> {
    this.#scope?.abort.abort(new Superseded());
    await this.#steps.dispose();
    await this.#run?.mirror.then(
      (mirror) => mirror.dispose(),
      () => {},
    );
    this.#run = undefined;
  }

  /** @returns what delivers the block. */
  async #solve(
    lease: BlockLease__Output,
    fixedGram: FixedGram__Output | null,
    signal: AbortSignal,
  ): Promise<() => Promise<void>> {
    const { rowStart, rowEnd, fixedClock, priorClock } = lease;
    const side = sideOf(lease.side);
    const run = await this.#runOf(lease.runId);
    const rows = { rowStart, rowEnd };
    const shard = await this.#shardOf(run.source, side, lease.shard);
    signal.throwIfAborted();
    const fixed = await run.tables[otherSide(side)].fixedAt(fixedClock, signal, fixedGram);
    const length = (rowEnd - rowStart) * run.factors;
    const prior = needsPrior(run, side, priorClock)
      ? await run.tables[side].rowsAt(rows, priorClock, signal, this.#memory.take(length))
      : undefined;
    const out = this.#memory.take(length);
    const result = await this.#solving.hold(() => {
      signal.throwIfAborted();
      return this.#o.device.solveBlock({
        block: csrSlice(shard.csr, rowStart - shard.rowStart, rowEnd - shard.rowStart),
        fixed: fixed.table,
        gram: fixed.gram,
        prior,
        objective: run.objective,
        solver: run.solver,
        wantLoss: run.wantLoss,
        out,
        signal,
      });
    });
    if (run.encoding === 'ROWS_ENCODING_BF16') roundToBfloat16(result.rows);
    if (prior !== undefined) this.#memory.give(prior);
    if (result.rows !== out) this.#memory.give(out);
    return () => this.#deliver(lease, run, side, result, signal);
  }

  /** Whoever asks first loads for all: the end of one lease must not end it for the others. */
  #shardOf(source: DatasetSource, side: Side, shard: number): Promise<ShardRows> {
    const { shards, signal } = this.#o;
    return shards.get({ fingerprint: source.fingerprint, side, shard }, () =>
      source.loadShard(side, shard, signal),
    );
  }

  async #deliver(
    lease: BlockLease__Output,
    run: RunMirror,
    side: Side,
    result: BlockResult,
    signal: AbortSignal,
  ): Promise<void> {
    const { link, sessionId } = this.#o;
    const { leaseId, runId, block, rowStart, priorClock } = lease;
    const clock = priorClock + 1;
    const { factors, encoding, exchange, homes } = run;
    const home = homes.of(side, rowStart);
    const of = { runId, sessionId, leaseId, side, block, clock };
    const pushed = { ...of, rowStart, factors, encoding, result, exchange };
    const disposition = await retryDamaged(() => pushBlock(link, home, pushed, signal));
    // Rows of a result that did not count may differ from those that did, on devices that are not bitwise equal.
    if (disposition !== 'DISPOSITION_ACCEPTED') return;
    await run.tables[side].keep(rowStart, result.rows, clock);
    this.#memory.give(result.rows);
  }

  async #report(lease: BlockLease__Output, error: unknown): Promise<void> {
    const { log, giveBack } = this.#o;
    const ids = { run: lease.runId, side: lease.side, block: lease.block };
    if (error instanceof Superseded) return;
    if (error instanceof FencedError) {
      log.debug(ids, `dropped: ${error.message}`);
      return;
    }
    log.warn(ids, `a block failed: ${messageOf(error)}`);
    const failure =
      error instanceof StoaError ? error : new StoaError('STOA_INTERNAL', messageOf(error), { cause: error });
    const isOurs =
      failure instanceof NumericError || failure instanceof DeviceError || failure.code === 'STOA_INTERNAL';
    // The network's failures are not the block's: the lease just goes back.
    await giveBack(lease.leaseId, isOurs || failure instanceof CorruptError ? failure : undefined);
  }

  /** The scope of a lease; one of a later phase, or of another run, ends what went on before. */
  #scopeOf({ runId, side, priorClock, stepEnd }: BlockLease__Output): PhaseScope {
    // Blocks that push and pull are at clocks of their own: none ends the work on another.
    const phase = stepEnd > 0 ? 0 : 2 * priorClock + (sideOf(side) === 'users' ? 0 : 1);
    const scope = this.#scope;
    if (scope !== undefined && scope.runId === runId && scope.phase >= phase) return scope;
    scope?.abort.abort(new Superseded());
    this.#scope = { runId, phase, abort: new AbortController() };
    return this.#scope;
  }

  #runOf(runId: string): Promise<RunMirror> {
    if (this.#run?.runId === runId) return this.#run.mirror;
    const before = this.#run;
    const run = { runId, mirror: this.#openRun(runId, before?.mirror) };
    this.#run = run;
    run.mirror.catch(() => {
      if (this.#run === run) this.#run = undefined;
    });
    return run.mirror;
  }

  async #openRun(runId: string, before: Promise<RunMirror> | undefined): Promise<RunMirror> {
    (await before?.catch(() => undefined))?.dispose();
    const mirror = await openRunMirror(runId, this.#o, this.#o.signal);
    this.#o.log.info({ run: runId }, 'took up a run');
    return mirror;
  }
}

/** Before the first clock, users are zero, which is what a solver starts from without being told. */
function needsPrior(run: RunMirror, side: Side, priorClock: number): boolean {
  return readsPrior(run.solver, run.factors) && (side === 'items' || priorClock > 0);
}

/** A delivery that arrived damaged is sent again, twice. */
async function retryDamaged<T>(send: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof CorruptError) || attempt >= 3) throw error;
    }
  }
}
