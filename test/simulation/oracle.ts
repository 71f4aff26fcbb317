// What must hold in every run, whatever fails. The oracle keeps books of its own and shares no decision with what it
// judges; it sees effects, tables and answers, and knows the truth about who is dead.

import type { StepDelivery } from '../../coordinator/parameters/step-delivery.js';
import type { StepAnswer } from '../../coordinator/parameters/step-service.js';
import type { Lease, Phase } from '../../coordinator/schedule/events.js';
import type { Schedule } from '../../coordinator/schedule/schedule.js';
import { leadMax } from '../../coordinator/schedule/sync/sync-mode.js';
import type { Side } from '../../models/csr.js';
import { type SyncEvent, violations } from '../support/sync-oracle.js';
import { PhaseReference } from './phase-model.js';
import { clocksOf, isReproducible, type SimulatedPlan } from './simulated-plan.js';
import type { SimulatedRecord } from './simulated-training.js';
import { stepReference } from './step-model.js';

/** A lease that a dead worker may still hold, and why so long, ms. */
export interface Patience {
  /** From the death until the session must be over. */
  readonly sessionMs: number;
  /** For which the coordinator itself has stood still so far. */
  readonly frozenMs: number;
}

/** A step as a worker says that it did it. */
export interface SolvedStep {
  readonly users: Float32Array;
  readonly items: Float32Array;
  /** In the cell of the block's own. */
  readonly value: number;
}

export class Oracle {
  /** First broken promise, in words. */
  violation: string | undefined;
  readonly #plan: SimulatedPlan;
  readonly #now: () => number;
  readonly #phases: PhaseReference | undefined;
  /** Of the phase in progress. */
  #open: Phase | undefined;
  readonly #done = new Set<number>();
  /** Phases that the coordinator has ended, and those that are on disk. */
  #committed = 0;
  #durable = 0;
  /** Of push and pull: finished clocks of each block, what each update wrote, and the whole history. */
  #clocks: number[];
  #values: (number | undefined)[][];
  #history: SyncEvent[] = [];
  /** Of this life of the coordinator: what was lent, to whom, by which request. */
  readonly #granted = new Map<number, string>();
  readonly #tableClocks = { users: 0, items: 0 };
  #isPaused = false;
  /** Failures in a row by session, and the names of those that had too many. */
  readonly #failures = new Map<string, number>();
  readonly #badNames = new Set<string>();
  readonly #dead = new Map<string, { atMs: number; frozenMs: number }>();
  /** Of parameter processes: what was handed in to which place, and what workers say that they read and wrote. */
  readonly #handedIn = new Set<string>();
  readonly #solved = new Map<string, SolvedStep>();
  readonly #deadHolders = new Map<string, { atMs: number; frozenMs: number }>();

  constructor(plan: SimulatedPlan, now: () => number) {
    this.#plan = plan;
    this.#now = now;
    if (plan.sync === undefined) this.#phases = new PhaseReference(plan);
    this.#clocks = plan.blocks.users.map(() => 0);
    this.#values = plan.blocks.users.map(() => []);
  }

  expect(isTrue: boolean, message: () => string): void {
    if (!isTrue) this.violation ??= `${message()} (at ${this.#now().toFixed(1)} ms)`;
  }

  /** The coordinator begins, or begins again after a crash or a stop, at a phase. */
  began(phaseStart: number): void {
    this.expect(phaseStart === this.#durable, () => `began at phase ${phaseStart}, not ${this.#durable}`);
    this.#isPaused = false;
    this.#failures.clear();
    this.#badNames.clear();
    this.#open = undefined;
    this.#committed = phaseStart;
    const clock = phaseStart * (this.#plan.sync?.clocksPerPhase ?? 0);
    this.#clocks = this.#clocks.map(() => clock);
    this.#values = this.#values.map((values) => values.slice(0, clock));
    this.#history = this.#history.filter((event) => event.clock < clock);
    this.#tableClocks.users = 0;
    this.#tableClocks.items = 0;
  }

  /** A new life: its lease ids have nothing to do with those before. */
  reborn(): void {
    this.#granted.clear();
  }

  phaseOpened(phase: Phase): void {
    const { index } = phase;
    this.expect(index === this.#committed, () => `phase ${index} opened after ${this.#committed}`);
    this.#open = phase;
    this.#done.clear();
  }

  leased(sessionId: string, requestId: string, leases: readonly Lease[], schedule: Schedule): void {
    this.expect(
      leases.length === 0 || schedule.hasSession(sessionId),
      () => `${sessionId} is over and got leases`,
    );
    for (const lease of leases) {
      const { leaseId, phase, block } = lease;
      const request = `${sessionId} ${requestId}`;
      const before = this.#granted.get(leaseId);
      this.expect(before === undefined || before === request, () => `lease ${leaseId} was given twice`);
      this.#granted.set(leaseId, request);
      this.expect(lease.sessionId === sessionId, () => `lease ${leaseId} went to another session`);
      this.expect(phase.index === this.#open?.index, () => `lease ${leaseId} is of phase ${phase.index}`);
      if (before !== undefined) continue;
      this.expect(!this.#isPaused, () => `lease ${leaseId} was given while the run was paused`);
      this.#checkQuarantine(sessionId, schedule);
      if (this.#plan.sync === undefined) {
        this.expect(!this.#done.has(block.index), () => `block ${block.index} was lent after it was done`);
      } else {
        const clock = this.#clocks[block.index]!;
        this.expect(
          phase.priorClock === clock,
          () => `block ${block.index} was lent for clock ${phase.priorClock}`,
        );
        this.#history.push({ type: 'started', block: block.index, clock });
      }
    }
  }

  paused(isPaused: boolean): void {
    this.#isPaused = isPaused;
  }

  /** A block failed under a lease that lived. */
  failed(sessionId: string): void {
    this.#failures.set(sessionId, (this.#failures.get(sessionId) ?? 0) + 1);
  }

  /** A result counts. @param from what it said of itself. */
  accepted(
    lease: Lease | undefined,
    from: { sessionId: string; leaseId: number; block: number; clock: number; side: Side },
  ): void {
    this.expect(lease !== undefined, () => 'a result counted without a lease');
    if (lease === undefined) return;
    const { phase, block, leaseId, sessionId } = lease;
    this.#failures.delete(sessionId);
    this.expect(
      leaseId === from.leaseId && sessionId === from.sessionId,
      () => `lease ${leaseId} is not the sender's`,
    );
    const isOfBlock =
      block.index === from.block && phase.side === from.side && phase.priorClock + 1 === from.clock;
    this.expect(isOfBlock, () => `a result of block ${from.block} counted for block ${block.index}`);
    this.expect(phase.index === this.#open?.index, () => `a block of phase ${phase.index} counted`);
    if (this.#plan.sync === undefined) {
      this.expect(!this.#done.has(block.index), () => `block ${block.index} counted twice`);
      this.#done.add(block.index);
    } else {
      const clock = from.clock - 1;
      this.expect(
        clock === this.#clocks[block.index],
        () => `clock ${clock} of block ${block.index} counted again`,
      );
      this.#clocks[block.index] = Math.max(this.#clocks[block.index]!, clock + 1);
      this.#history.push({ type: 'applied', block: block.index, clock });
      if (clock + 1 === (phase.index + 1) * this.#plan.sync.clocksPerPhase) this.#done.add(block.index);
    }
  }

  /** What an accepted update writes. */
  wrote({ block, clock, deltas }: StepDelivery): void {
    this.#values[block]![clock - 1] = deltas.deltas[clock - 1];
  }

  /** The answer to a read: which updates are in it is read off its numbers. */
  answered(
    block: number,
    clock: number,
    { items, users, staleness }: Pick<StepAnswer, 'items' | 'users' | 'staleness'>,
  ): void {
    const clocks = clocksOf(this.#plan);
    const seen = this.#clocks.map((_, from) => {
      const stamps: number[] = [];
      for (let stamp = 0; stamp < clocks; stamp++) {
        const value = items[from * clocks + stamp]!;
        if (value === 0) continue;
        const written = this.#values[from]![stamp];
        this.expect(
          value === written,
          () => `update ${stamp} of block ${from} reads ${value}, not ${written}`,
        );
        stamps.push(stamp);
      }
      return stamps;
    });
    const own = users.reduce((count, value) => count + (value === 0 ? 0 : 1), 0);
    this.expect(own === clock, () => `block ${block} at clock ${clock} read ${own} of its own updates`);
    this.#history.push({ type: 'read', block, clock, staleness, seen });
  }

  /** Rows or a Gram that a worker was given for a clock. */
  pulled(side: Side, clock: number, rowStart: number, rows: Float32Array): void {
    const { table } = this.#tablesAt(side, clock);
    const isRight = rows.every((value, n) => Object.is(value, table[rowStart * 2 + n]));
    this.expect(isRight, () => `rows ${rowStart} of ${side} at clock ${clock} are not those of the clock`);
  }

  /** @param record absent: rows of it were lost since. */
  phaseCompleted(phase: Phase, record: SimulatedRecord | undefined): void {
    const { index, side } = phase;
    this.expect(index === this.#open?.index, () => `phase ${index} completed, which is not open`);
    const blocks = this.#plan.blocks[side].length;
    this.expect(
      this.#done.size === blocks,
      () => `phase ${index} completed with ${this.#done.size} of ${blocks} blocks`,
    );
    this.#committed = index + 1;
    if (record !== undefined) this.#checkTables(record);
  }

  persisted(nextPhase: number): void {
    this.expect(nextPhase >= this.#durable, () => `the record went back to phase ${nextPhase}`);
    this.#durable = nextPhase;
  }

  ended(outcome: string, record: SimulatedRecord): void {
    if (outcome !== 'completed') return;
    const { phases } = this.#plan;
    this.expect(
      record.nextPhase === phases,
      () => `the run completed after ${record.nextPhase} of ${phases} phases`,
    );
    this.#checkTables(record);
    if (this.#plan.sync === undefined) return;
    const { mode } = this.#plan.sync;
    const rules = { blocks: this.#clocks.length, clocks: clocksOf(this.#plan), staleness: leadMax(mode) };
    const [wrong] = violations(this.#history, rules);
    this.expect(wrong === undefined, () => wrong!);
  }

  /** A parameter process has taken rows in. */
  handedIn(holderId: string, leaseId: number, block: number): void {
    this.#handedIn.add(`${holderId} ${leaseId} ${block}`);
  }

  /** A result counts, whose rows these processes are to have. */
  countsAt(holderIds: readonly string[], { leaseId, block }: { leaseId: number; block: number }): void {
    for (const holderId of holderIds) {
      this.expect(
        this.#handedIn.has(`${holderId} ${leaseId} ${block}`),
        () => `a result of block ${block} counted, of which ${holderId} has no rows`,
      );
    }
  }

  /** A parameter process keeps so many results of one block: those of leases at once, and some of leases that ended. */
  holds(results: number): void {
    this.expect(results <= 5, () => `a parameter process keeps ${results} results of one block`);
  }

  /** What a worker has read from parameter processes, and writes: it counts with its result. */
  solved(sessionId: string, leaseId: number, step: SolvedStep): void {
    this.#solved.set(`${sessionId} ${leaseId}`, step);
  }

  /** The update of a block counts, whose rows went past the coordinator. */
  wroteElsewhere(sessionId: string, leaseId: number, block: number, clock: number): void {
    const step = this.#solved.get(`${sessionId} ${leaseId}`);
    if (step === undefined) {
      this.expect(false, () => `nobody has solved block ${block}`);
      return;
    }
    // What a worker reads after it was told that it may read: as stale as it was at most.
    const staleness = clock - Math.min(...this.#clocks);
    this.answered(block, clock, { ...step, staleness });
    this.#values[block]![clock] = step.value;
  }

  /** A parameter process is dead, or has lost its place. */
  holderDied(holderId: string, frozenMs: number): void {
    if (!this.#deadHolders.has(holderId)) this.#deadHolders.set(holderId, { atMs: this.#now(), frozenMs });
  }

  /** After every tick: who is there. */
  tickedHolders(holderIds: readonly string[], patience: Patience): void {
    for (const holderId of holderIds) {
      const death = this.#deadHolders.get(holderId);
      if (death === undefined) continue;
      const allowedMs = patience.sessionMs + patience.frozenMs - death.frozenMs;
      const heldMs = this.#now() - death.atMs;
      this.expect(heldMs <= allowedMs, () => `${holderId} is dead and there for ${heldMs.toFixed(0)} ms`);
    }
  }

  /** A worker that had this session is dead, or does not know it any more. */
  sessionDied(sessionId: string, frozenMs: number): void {
    if (!this.#dead.has(sessionId)) this.#dead.set(sessionId, { atMs: this.#now(), frozenMs });
  }

  /** After every tick. @param nowMs by the coordinator's clock. */
  ticked(schedule: Schedule, nowMs: number, patience: Patience): void {
    const { run } = schedule;
    if (run === undefined) return;
    const { leases, progress } = run;
    this.expect(leases.size <= 2 * progress.blocks.length, () => `${leases.size} leases live`);
    for (const lease of leases.all()) {
      const { leaseId, sessionId, deadlineMs } = lease;
      this.expect(deadlineMs > nowMs, () => `lease ${leaseId} outlives its deadline`);
      this.expect(schedule.hasSession(sessionId), () => `lease ${leaseId} outlives its session`);
      const death = this.#dead.get(sessionId);
      if (death === undefined) continue;
      const allowedMs = patience.sessionMs + patience.frozenMs - death.frozenMs;
      const heldMs = this.#now() - death.atMs;
      this.expect(
        heldMs <= allowedMs,
        () => `a dead worker holds lease ${leaseId} for ${heldMs.toFixed(0)} ms`,
      );
    }
  }

  /** After every event: what is kept for later has a bound, and no clock of a table goes back. */
  looked(at: {
    readonly waitingRequests: number;
    readonly sessions: number;
    readonly heldReads: number;
    readonly clocksUnderWay: number;
    readonly clocks: Readonly<Record<Side, number>>;
  }): void {
    const { sync, blocks } = this.#plan;
    this.expect(at.waitingRequests <= 4 * at.sessions, () => `${at.waitingRequests} requests wait`);
    this.expect(at.heldReads <= 8 * blocks.users.length, () => `${at.heldReads} reads are held`);
    const sums = sync === undefined ? 0 : Math.min(leadMax(sync.mode) + 1, clocksOf(this.#plan));
    this.expect(at.clocksUnderWay <= sums, () => `${at.clocksUnderWay} clocks are under way`);
    for (const side of ['users', 'items'] as const) {
      const clock = at.clocks[side];
      this.expect(clock >= this.#tableClocks[side], () => `the clock of ${side} went back to ${clock}`);
      this.#tableClocks[side] = clock;
    }
  }

  /** Three failures in a row, and a worker gets nothing while there is another without. */
  #checkQuarantine(sessionId: string, schedule: Schedule): void {
    const isBad = (session: string) => (this.#failures.get(session) ?? 0) >= 3;
    if (!isBad(sessionId)) return;
    const infos = [...schedule.sessions()].map(({ info }) => info);
    for (const info of infos) if (isBad(info.sessionId)) this.#badNames.add(info.name);
    const other = infos.find(({ name }) => !this.#badNames.has(name));
    this.expect(
      other === undefined,
      () => `${sessionId} failed three times and got a lease, not ${other!.name}`,
    );
  }

  #checkTables({ users, items, grams, nextPhase }: SimulatedRecord): void {
    if (this.#phases !== undefined) {
      const expected = this.#phases.before(nextPhase);
      this.#expectBits('users', users, expected.users.table);
      this.#expectBits('items', items, expected.items.table);
      this.#expectBits('the Gram of users', grams!.users, expected.users.gram);
      this.#expectBits('the Gram of items', grams!.items, expected.items.gram);
    } else this.#checkUpdates(users, items, nextPhase);
  }

  /** Every update is in the tables once; where bits are promised, all of them. */
  #checkUpdates(users: Float32Array, items: Float32Array, nextPhase: number): void {
    const clocks = clocksOf(this.#plan);
    const done = nextPhase * this.#plan.sync!.clocksPerPhase;
    this.#clocks.forEach((_, block) => {
      for (let clock = 0; clock < clocks; clock++) {
        const value = items[block * clocks + clock]!;
        const written = clock < done ? this.#values[block]![clock] : 0;
        this.expect(value === written, () => `update ${clock} of block ${block} is ${value}, not ${written}`);
      }
    });
    if (nextPhase < this.#plan.phases || !isReproducible(this.#plan)) return;
    const expected = stepReference(this.#plan);
    this.#expectBits('users', users, expected.users);
    this.#expectBits('items', items, expected.items);
  }

  #expectBits(what: string, found: ArrayLike<number>, expected: ArrayLike<number>): void {
    for (let n = 0; n < expected.length; n++) {
      const isSame = Object.is(found[n], expected[n]);
      this.expect(isSame, () => `${what}: number ${n} is ${found[n]}, without faults ${expected[n]}`);
      if (!isSame) return;
    }
  }

  #tablesAt(side: Side, clock: number): { table: Float32Array } {
    // Users reach a clock one phase before items do.
    const phase = side === 'users' ? 2 * clock - 1 : 2 * clock;
    return this.#phases!.before(Math.max(0, phase))[side];
  }
}
