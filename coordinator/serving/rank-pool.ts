// Ranking off the event loop. Queries that arrive while every thread is busy are ranked together by the next free
// one: an idle server adds no wait, a busy one shares the pass over the items.

import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { StateError, StoaError } from '../../common/errors.js';
import { builtEntry } from '../../common/package-root.js';
import type { RankResult, RankTask } from './rank-thread.js';
import { type Ranking, type RankQuery, rankingOf } from './recommender.js';

/** Queries ranked at once: more would make the first of them wait for the last without sharing more. */
export const RANK_BATCH_MAX = 16;
/** Queries that wait, over all clients; at a millisecond each the last waits seconds. The next one is refused. */
const WAITING_MAX = 4096;

interface Waiting {
  query: RankQuery;
  resolve: (ranking: Ranking) => void;
  reject: (error: unknown) => void;
}

export class RankPool {
  readonly #threadCount: number;
  /** Made at the first use: a coordinator that only trains needs none. */
  #threads: Piscina<RankTask, RankResult> | undefined;
  #waiting: Waiting[] = [];
  #running = 0;
  #isClosed = false;
  #onIdle: (() => void) | undefined;

  constructor(threads: number) {
    this.#threadCount = threads;
  }

  /** Starts the threads, so that the first query need not wait for them. */
  start(): void {
    this.#startedThreads();
  }

  /** Queries that wait for a thread. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** @throws {StoaError} `STOA_BUSY`: too many queries wait; `STOA_DRAINING`: the pool is closed. */
  rank = (query: RankQuery): Promise<Ranking> => {
    if (this.#isClosed) {
      throw new StateError('STOA_DRAINING', 'this server is shutting down; call another one');
    }
    if (this.#waiting.length >= WAITING_MAX) {
      throw new StoaError('STOA_BUSY', `${WAITING_MAX} requests are waiting already; try again in a second`);
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ query, resolve, reject });
      this.#dispatch();
    });
  };

  /** Takes no more queries, lets those there end, then stops the threads. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    await this.#threads?.destroy();
  }

  #dispatch(): void {
    while (this.#running < this.#threadCount && this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      this.#running++;
      this.#run(batch).finally(() => {
        this.#running--;
        this.#dispatch();
        if (this.#running === 0) this.#onIdle?.();
      });
    }
  }

  #startedThreads(): Piscina<RankTask, RankResult> {
    this.#threads ??= new Piscina({
      filename: fileURLToPath(builtEntry('coordinator/serving/rank-thread.js')),
      minThreads: this.#threadCount,
      maxThreads: this.#threadCount,
      execArgv: [],
    });
    return this.#threads;
  }

  /** The oldest query and those after it that rank the same table. */
  #takeBatch(): Waiting[] {
    const { items } = this.#waiting[0]!.query;
    const batch: Waiting[] = [];
    const rest: Waiting[] = [];
    for (const entry of this.#waiting) {
      if (batch.length < RANK_BATCH_MAX && entry.query.items === items) batch.push(entry);
      else rest.push(entry);
    }
    this.#waiting = rest;
    return batch;
  }

  async #run(batch: Waiting[]): Promise<void> {
    const task = taskOf(batch.map(({ query }) => query));
    try {
      const { ids, scores } = await this.#startedThreads().run(task);
      batch.forEach(({ query, resolve }, at) => {
        resolve(rankingOf(ids, scores, at * task.n, query.n));
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}

/** One task for queries against one table; it ranks as many rows as the greediest of them asks for. */
function taskOf(queries: RankQuery[]): RankTask {
  const { items, itemCount, factors } = queries[0]!;
  const vectors = new Float32Array(queries.length * factors);
  const excludePtr = new Int32Array(queries.length + 1);
  queries.forEach(({ vector, exclude }, at) => {
    vectors.set(vector, at * factors);
    excludePtr[at + 1] = excludePtr[at]! + exclude.length;
  });
  const excludeIdx = new Int32Array(excludePtr[queries.length]!);
  queries.forEach(({ exclude }, at) => {
    excludeIdx.set(exclude, excludePtr[at]!);
  });
  const n = Math.max(...queries.map((query) => query.n));
  return { queries: vectors, count: queries.length, items, itemCount, factors, n, excludePtr, excludeIdx };
}
