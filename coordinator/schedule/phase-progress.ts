import { assert } from '../../common/errors.js';
import type { PlanBlock } from '../plan/plan-blocks.js';
import type { Disposition, Phase, RunTask } from './events.js';
import { type ClockChange, SyncClocks } from './sync/sync-clocks.js';

/** What became of the blocks of one phase. */
export class PhaseProgress {
  readonly phase: Phase;
  readonly blocks: readonly PlanBlock[];
  readonly openedMs: number;
  readonly workTotal: number;
  /** Blocks that have nothing more to do in this phase. */
  readonly #isDone: boolean[];
  #doneCount = 0;
  #workDone = 0;
  #rowsDone = 0;
  readonly #doneBySession = new Map<string, number>();
  /** Failures of a block by session. */
  readonly #failures = new Map<number, Map<string, number>>();
  readonly #losses = new Map<number, number>();
  readonly #expiries = new Map<number, number>();
  /** Of a run that pushes and pulls: each block comes several times, once a clock. */
  readonly #clocks: SyncClocks | undefined;
  readonly #clocksPerPhase: number;

  constructor(phase: Phase, blocks: readonly PlanBlock[], openedMs: number, sync?: RunTask['sync']) {
    this.phase = phase;
    this.blocks = blocks;
    this.openedMs = openedMs;
    this.#clocksPerPhase = sync?.clocksPerPhase ?? 1;
    this.workTotal = this.#clocksPerPhase * blocks.reduce((sum, block) => sum + block.work, 0);
    if (sync !== undefined) {
      const clockStart = phase.index * sync.clocksPerPhase;
      const clockEnd = clockStart + sync.clocksPerPhase;
      this.#clocks = new SyncClocks({ mode: sync.mode, blocks: blocks.length, clockStart, clockEnd });
    }
    this.#isDone = new Array(blocks.length).fill(false);
  }

  get doneCount(): number {
    return this.#doneCount;
  }

  get workDone(): number {
    return this.#workDone;
  }

  get rowsDone(): number {
    return this.#rowsDone;
  }

  get isComplete(): boolean {
    return this.#doneCount === this.taskCount;
  }

  /** Results that make the phase complete. */
  get taskCount(): number {
    return this.blocks.length * this.#clocksPerPhase;
  }

  /** Clocks of a run that pushes and pulls, to be read only. */
  get clocks(): SyncClocks | undefined {
    return this.#clocks;
  }

  /** What a lease of the block is for: the phase, or the block's own clock of it. */
  phaseFor(block: number): Phase {
    const clock = this.#clocks?.clockOf(block);
    return clock === undefined ? this.phase : { ...this.phase, fixedClock: clock, priorClock: clock };
  }

  /** False while the block must wait for others, and once it is done. */
  mayStart(block: number): boolean {
    return this.#clocks === undefined ? !this.#isDone[block] : this.#clocks.mayStart(block);
  }

  /** What a result of the block at `clock`, the one its rows belong to, would be, leases aside. */
  judge(block: number, clock: number): Disposition {
    if (this.#clocks !== undefined) {
      const verdict = this.#clocks.judge(block, clock - 1);
      return verdict === 'early' ? 'stale' : verdict;
    }
    if (clock !== this.phase.priorClock + 1) return 'stale';
    return this.#isDone[block] ? 'duplicate' : 'accepted';
  }

  /** Blocks delivered, by session. */
  get doneBySession(): ReadonlyMap<string, number> {
    return this.#doneBySession;
  }

  isDone(block: number): boolean {
    return this.#isDone[block]!;
  }

  /** Counts an accepted result. Returns what it changed in the clocks of a run that has them. */
  markDone(block: PlanBlock, sessionId: string): ClockChange | undefined {
    const change = this.#clocks?.finish(block.index, this.#clocks.clockOf(block.index));
    if (change !== undefined) for (const counts of [this.#losses, this.#expiries]) counts.delete(block.index);
    this.#isDone[block.index] = this.#clocks?.hasEnded(block.index) ?? true;
    this.#doneCount++;
    assert(this.#doneCount <= this.taskCount, 'every result counts once');
    this.#workDone += block.work;
    this.#rowsDone += block.rowEnd - block.rowStart;
    this.#doneBySession.set(sessionId, (this.#doneBySession.get(sessionId) ?? 0) + 1);
    return change;
  }

  /** Counts a failure that the session reported; returns how many the block has. */
  countFailure(block: number, sessionId: string): number {
    const failures = this.#failures.get(block) ?? new Map<string, number>();
    this.#failures.set(block, failures);
    failures.set(sessionId, (failures.get(sessionId) ?? 0) + 1);
    return [...failures.values()].reduce((sum, count) => sum + count, 0);
  }

  /** True when the block failed at this session before: others are to try first. */
  hasFailedAt(block: number, sessionId: string): boolean {
    return this.#failures.get(block)?.has(sessionId) ?? false;
  }

  /** What failed at a session says nothing about the blocks any more. */
  forgetFailuresAt(sessionId: string): void {
    for (const failures of this.#failures.values()) failures.delete(sessionId);
  }

  /** Counts that the block's worker vanished while it solved it. */
  countLoss(block: number): number {
    return increment(this.#losses, block);
  }

  countExpiry(block: number): number {
    return increment(this.#expiries, block);
  }

  expiriesOf(block: number): number {
    return this.#expiries.get(block) ?? 0;
  }
}

function increment(counts: Map<number, number>, key: number): number {
  const count = (counts.get(key) ?? 0) + 1;
  counts.set(key, count);
  return count;
}
