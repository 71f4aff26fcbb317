// Does leased clocks of blocks that push and pull: draws, pulls, descends, pushes.

import type { Logger } from 'pino';
import { CorruptError } from '../../common/errors.js';
import { type Csr, csrSlice } from '../../models/csr.js';
import type { BlockDescent } from '../../models/sgd/block-descent.js';
import type { BlockLease__Output } from '../../proto/generated/stoa/training/v1/BlockLease.js';
import type { CoordinatorLink } from '../coordinator-link.js';
import type { ShardCache } from '../shard-cache.js';
import { pullStep } from './pull-step.js';
import { pushStep } from './push-step.js';
import type { StepDevice } from './step-device.js';
import { StepPool } from './step-pool.js';
import { openStepRun, type StepRun } from './step-run.js';

/** What arrived damaged is sent again, twice. */
const TRIES_MAX = 3;

export interface StepRunnerOptions {
  link: CoordinatorLink;
  shards: ShardCache;
  cacheDir: string;
  sessionId: string;
  steps: StepDevice;
  log: Logger;
  /** Ends everything under way. */
  signal: AbortSignal;
}

export class StepRunner {
  readonly #o: StepRunnerOptions;
  readonly #pool: StepPool;
  readonly #descent: BlockDescent;
  #run: { runId: string; opened: Promise<StepRun> } | undefined;

  constructor(options: StepRunnerOptions) {
    this.#o = options;
    const { descent, info } = options.steps;
    this.#pool = new StepPool(info.threads);
    this.#descent = descent ?? this.#pool;
  }

  /** @throws all that can go wrong; the caller tells the coordinator. */
  async solve(lease: BlockLease__Output, signal: AbortSignal): Promise<void> {
    const { leaseId, runId, block, rowStart, rowEnd, priorClock: clock } = lease;
    const run = await this.#runOf(runId);
    const drawn = await this.#draw(run, lease, signal);
    signal.throwIfAborted();
    const { items } = drawn.samples;
    const kept = run.users.get(block);
    const isKept = kept?.clock === clock;
    const { sessionId, link } = this.#o;
    const { columns, settings } = run;
    const users = { rowStart, rowEnd };
    const wanted = { runId, sessionId, leaseId, block, clock, items, columns, users, hasUsers: isKept };
    const pulled = await retryDamaged(() => pullStep(link, run.homes, wanted, signal));
    const { samples } = drawn;
    const own = isKept ? kept.rows : pulled.users!;
    const task = { settings, samples, users: own, items: pulled.items };
    const { result, ms } = await this.#descent.descend(task, signal);
    signal.throwIfAborted();
    const solveMs = drawn.ms + ms;
    const pushed = { runId, sessionId, leaseId, block, clock, rowStart, columns, items, result, solveMs };
    const disposition = await retryDamaged(() => pushStep(link, run.homes, pushed, signal));
    if (disposition === 'DISPOSITION_ACCEPTED') {
      run.users.set(block, { clock: clock + 1, rows: result.users });
    } else run.users.delete(block);
  }

  async dispose(): Promise<void> {
    this.#closeHomes();
    this.#run = undefined;
    await this.#pool.close();
  }

  async #draw(run: StepRun, lease: BlockLease__Output, signal: AbortSignal) {
    const { block, stepStart, stepEnd } = lease;
    const { runId, settings, itemCounts } = run;
    const interactions = await this.#interactionsOf(run, lease);
    const task = { runId, settings, itemCounts, interactions, block, stepStart, stepEnd };
    return this.#descent.draw(task, signal);
  }

  /** What a block trains with: all its interactions, or those that are not held out. */
  async #interactionsOf(run: StepRun, lease: BlockLease__Output): Promise<Csr> {
    const { shard: index, rowStart, rowEnd, block } = lease;
    const key = { fingerprint: run.source.fingerprint, side: 'users' as const, shard: index };
    // Whoever asks first loads for all: the end of this lease must not end it for the others.
    const load = () => run.source.loadShard('users', index, this.#o.signal);
    const shard = await this.#o.shards.get(key, load);
    const interactions = csrSlice(shard.csr, rowStart - shard.rowStart, rowEnd - shard.rowStart);
    const { validationShare: share, settings } = run;
    if (share === 0) return interactions;
    const known = run.training.get(block);
    if (known !== undefined) return known;
    const split = { seed: settings.seed, share };
    const made = this.#pool.split({ interactions, rowStart, split });
    run.training.set(block, made);
    made.catch(() => run.training.delete(block));
    return made;
  }

  #closeHomes(): void {
    this.#run?.opened.then(
      ({ homes }) => homes.close(),
      () => {},
    );
  }

  #runOf(runId: string): Promise<StepRun> {
    if (this.#run?.runId === runId) return this.#run.opened;
    this.#closeHomes();
    const opened = openStepRun(runId, this.#o, this.#o.signal);
    const run = { runId, opened };
    this.#run = run;
    opened.then(
      () => this.#o.log.info({ run: runId }, 'took up a run'),
      () => {
        if (this.#run === run) this.#run = undefined;
      },
    );
    return opened;
  }
}

async function retryDamaged<T>(send: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof CorruptError) || attempt >= TRIES_MAX) throw error;
    }
  }
}
