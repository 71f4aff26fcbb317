// Push and pull between the tables and the blocks of a run: which read is answered when, with which rows, and what an
// accepted update changes. Pure: transport, time and records are the caller's.

import type { PlanBlock } from '../plan/plan-blocks.js';
import { HeldReads, type ReadAnswer } from '../schedule/sync/held-reads.js';
import { StalenessCounts } from '../schedule/sync/staleness-counts.js';
import type { SyncClocks } from '../schedule/sync/sync-clocks.js';
import type { StepDelivery } from './step-delivery.js';
import type { StepAnswer } from './step-service.js';
import type { StepTables } from './step-tables.js';

export interface StepRead<T> {
  readonly block: number;
  readonly clock: number;
  /** Rows of the shared side, ascending. */
  readonly items: Int32Array;
  /** What the caller gave: comes back with the answer. */
  readonly token: T;
}

export interface StepReply<T> {
  readonly token: T;
  /** Undefined: the block has done this clock already. */
  readonly answer?: StepAnswer;
}

export class StepExchange<T> {
  readonly #store: StepTables;
  readonly #blocks: readonly PlanBlock[];
  readonly #held = new HeldReads<StepRead<T>>();
  readonly #reads = new Map<T, StepRead<T>>();
  #staleness = new StalenessCounts();

  /** @param blocks of the users, by index. */
  constructor(store: StepTables, blocks: readonly PlanBlock[]) {
    this.#store = store;
    this.#blocks = blocks;
  }

  /** Reads that wait: at most eight a block. */
  get heldCount(): number {
    return this.#held.size;
  }

  /** Reads of this epoch by the clocks that they were behind. */
  get staleness(): number[] {
    return this.#staleness.toArray();
  }

  beginEpoch(): void {
    this.#staleness = new StalenessCounts();
  }

  /** Answers a read, or holds it back until an update lets it be answered. */
  ask(clocks: SyncClocks, read: StepRead<T>): StepReply<T>[] {
    this.#reads.set(read.token, read);
    const { block, clock } = read;
    return this.#replies(this.#held.ask(clocks, { block, clock, token: read }));
  }

  /** Puts an accepted update, which `clocks` have counted, into the tables. */
  apply(clocks: SyncClocks, delivery: StepDelivery): void {
    const store = this.#store;
    store.apply(this.#blocks[delivery.block]!, delivery);
    while (store.clock < clocks.slowest) store.commit();
  }

  /** The reads that can be answered after an update. */
  release(clocks: SyncClocks): StepReply<T>[] {
    return this.#replies(this.#held.release(clocks));
  }

  /** Forgets a read whose caller is gone. */
  drop(token: T): void {
    const read = this.#reads.get(token);
    if (read === undefined) return;
    this.#reads.delete(token);
    this.#held.drop(read);
  }

  /** Forgets all reads: the run is over. Returns their tokens. */
  clear(): T[] {
    this.#reads.clear();
    return this.#held.clear().map(({ token }) => token.token);
  }

  #replies(answers: readonly ReadAnswer<StepRead<T>>[]): StepReply<T>[] {
    return answers.map(({ token: read, verdict }) => {
      this.#reads.delete(read.token);
      if (verdict.kind === 'gone') return { token: read.token };
      this.#staleness.add(verdict.staleness);
      return {
        token: read.token,
        answer: this.#store.answer(
          { block: this.#blocks[read.block]!, items: read.items },
          verdict.staleness,
        ),
      };
    });
  }
}
