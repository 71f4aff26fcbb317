// A push/pull training over a seeded network: delayed, duplicated and reordered messages, workers that crash in the
// middle, leases that expire and are lent again while the first holder still computes. The real clocks, held reads and
// table are driven; every update of block b at clock c writes a 1 of its own into the table, so that what a read saw
// is read off its numbers.

import { createRandom, type Random } from '../../common/random.js';
import { SharedRows } from '../../coordinator/parameters/shared-rows.js';
import { HeldReads } from '../../coordinator/schedule/sync/held-reads.js';
import { SyncClocks } from '../../coordinator/schedule/sync/sync-clocks.js';
import { leadMax, type SyncMode } from '../../coordinator/schedule/sync/sync-mode.js';
import type { SyncEvent } from '../support/sync-oracle.js';

export interface SimulationOptions {
  readonly seed: number;
  readonly mode: SyncMode;
  readonly blocks: number;
  readonly clocks: number;
  readonly workers: number;
  /** Share of tasks whose worker dies before it delivers, of messages that come twice, of those that come very late. */
  readonly faults?: { readonly crash: number; readonly duplicate: number; readonly late: number };
  /** Breaks a rule on purpose. */
  readonly mutation?: Mutation;
}

export type Mutation =
  | 'apply-duplicates'
  | 'ignore-bound'
  | 'serve-held-reads'
  | 'commit-early'
  | 'forget-own';

export interface SimulationOutcome {
  readonly history: readonly SyncEvent[];
  /** The table at the end. */
  readonly table: Float32Array;
  readonly staleness: readonly number[];
  readonly endMs: number;
}

/** Time after which a block that did not come back is lent again. */
const LEASE_MS = 40;
/** Any run of the sizes used here ends well before; past it the run hangs. */
const STEPS_MAX = 200_000;

interface Task {
  readonly block: number;
  readonly clock: number;
}

export function simulateSync(options: SimulationOptions): SimulationOutcome {
  return new SyncSimulation(options).run();
}

class SyncSimulation {
  readonly #o: SimulationOptions;
  readonly #random: Random;
  readonly #clocks: SyncClocks;
  readonly #held = new HeldReads<{ task: Task; worker: number }>();
  readonly #rows: SharedRows;
  readonly #history: SyncEvent[] = [];
  readonly #staleness: number[] = [];
  readonly #queue: { atMs: number; order: number; act: () => void }[] = [];
  readonly #leasedUntil = new Map<number, number>();
  readonly #idle: number[] = [];
  #nowMs = 0;
  #order = 0;

  constructor(options: SimulationOptions) {
    const { seed, mode, blocks, clocks, workers, mutation } = options;
    this.#o = options;
    this.#random = createRandom(seed, 17);
    const clocksMode: SyncMode = mutation === 'ignore-bound' ? { kind: 'asp' } : mode;
    this.#clocks = new SyncClocks({ mode: clocksMode, blocks, clockStart: 0, clockEnd: clocks });
    this.#rows = new SharedRows({
      rows: blocks,
      columns: clocks,
      blocks,
      isImmediate: mode.kind === 'asp',
      isAhead: leadMax(mode) > 0 && mutation !== 'forget-own',
      mergeRate: () => 0,
    });
    for (let worker = 0; worker < workers; worker++) this.#idle.push(worker);
  }

  run(): SimulationOutcome {
    this.#lend();
    for (let steps = 0; !this.#clocks.isComplete; steps++) {
      if (steps > STEPS_MAX || this.#queue.length === 0)
        throw new Error(`seed ${this.#o.seed}: the run hangs`);
      this.#queue.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
      const { atMs, act } = this.#queue.shift()!;
      this.#nowMs = atMs;
      act();
      this.#lend();
    }
    // What is still under way arrives after the end, and must change nothing.
    for (const { act } of this.#queue.splice(0)) act();
    return {
      history: this.#history,
      table: Float32Array.from(this.#rows.table),
      staleness: this.#staleness,
      endMs: this.#nowMs,
    };
  }

  /** Lends what may start to idle workers, the slowest blocks first. */
  #lend(): void {
    const free = Array.from({ length: this.#clocks.blocks }, (_, block) => block)
      .filter((block) => this.#clocks.mayStart(block) && (this.#leasedUntil.get(block) ?? -1) <= this.#nowMs)
      .sort((a, b) => this.#clocks.clockOf(a) - this.#clocks.clockOf(b));
    for (const block of free) {
      const worker = this.#idle.shift();
      if (worker === undefined) return;
      const task = { block, clock: this.#clocks.clockOf(block) };
      this.#leasedUntil.set(block, this.#nowMs + LEASE_MS);
      this.#after(LEASE_MS, () => {});
      this.#history.push({ type: 'started', ...task });
      this.#send(() => this.#read(task, worker));
    }
  }

  #read(task: Task, worker: number): void {
    if (this.#o.mutation === 'serve-held-reads') {
      this.#answer(task, worker, Math.max(0, task.clock - this.#clocks.slowest));
      return;
    }
    const answers = this.#held.ask(this.#clocks, { ...task, token: { task, worker } });
    for (const { token, verdict } of answers) this.#answered(token, verdict);
  }

  #answered(token: { task: Task; worker: number }, verdict: { kind: string; staleness?: number }): void {
    if (verdict.kind === 'gone') this.#release(token.worker);
    else this.#answer(token.task, token.worker, verdict.staleness!);
  }

  /** Serves a read and lets the worker compute. */
  #answer(task: Task, worker: number, staleness: number): void {
    const { blocks, clocks, faults } = this.#o;
    const all = Int32Array.from({ length: blocks }, (_, row) => row);
    const numbers = this.#rows.read(task.block, all);
    const seen = Array.from({ length: blocks }, (_, from) => {
      const stamps: number[] = [];
      for (let clock = 0; clock < clocks; clock++) {
        for (let times = 0; times < numbers[from * clocks + clock]!; times++) stamps.push(clock);
      }
      return stamps;
    });
    this.#history.push({ type: 'read', ...task, staleness, seen });
    this.#staleness.push(staleness);
    const computeMs = 1 + this.#random.int(10);
    if (this.#random.next() < (faults?.crash ?? 0)) {
      // Another worker takes its place after a while.
      this.#after(computeMs + LEASE_MS, () => this.#release(worker));
      return;
    }
    this.#after(computeMs, () => {
      this.#release(worker);
      this.#send(() => this.#push(task));
      // A worker may read ahead of the next lease: such a read is held back where it must be.
      if (this.#random.next() < 0.3) this.#send(() => this.#prefetch(task));
    });
  }

  #prefetch({ block, clock }: Task): void {
    const token = { task: { block, clock: clock + 1 }, worker: -1 };
    if (clock + 1 >= this.#o.clocks) return;
    const answers = this.#held.ask(this.#clocks, { ...token.task, token });
    for (const answer of answers) this.#answered(answer.token, answer.verdict);
  }

  #push({ block, clock }: Task): void {
    const verdict = this.#clocks.judge(block, clock);
    const { blocks, clocks, mutation } = this.#o;
    const deltas = new Float32Array(clocks);
    deltas[clock] = 1;
    const pushed = { rows: Int32Array.of(block), deltas, counts: Uint32Array.of(1) };
    if (verdict === 'duplicate' && mutation === 'apply-duplicates') this.#rows.add(block, clock, pushed);
    if (verdict !== 'accepted') return;
    this.#rows.add(block, clock, pushed);
    this.#history.push({ type: 'applied', block, clock });
    this.#leasedUntil.delete(block);
    const { completed } = this.#clocks.finish(block, clock);
    for (const _ of completed) this.#rows.commit();
    if (mutation === 'commit-early' && completed.length === 0 && blocks > 1) this.#rows.table[0] = 1;
    for (const { token, verdict: answer } of this.#held.release(this.#clocks)) this.#answered(token, answer);
  }

  #release(worker: number): void {
    if (worker >= 0 && !this.#idle.includes(worker)) this.#idle.push(worker);
  }

  /** Delivers a message once, or twice, soon or after the lease. */
  #send(act: () => void): void {
    const { faults } = this.#o;
    const copies = this.#random.next() < (faults?.duplicate ?? 0) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const isLate = this.#random.next() < (faults?.late ?? 0);
      this.#after(isLate ? LEASE_MS * (1 + this.#random.next()) : this.#random.int(4), act);
    }
  }

  #after(ms: number, act: () => void): void {
    this.#queue.push({ atMs: this.#nowMs + ms, order: this.#order++, act });
  }
}
