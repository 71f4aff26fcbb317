import type { PlanBlock } from '../plan/plan-blocks.js';
import type { Phase } from './events.js';

/** What became of the blocks of one phase. */
export class PhaseProgress {
  readonly phase: Phase;
  readonly blocks: readonly PlanBlock[];
  readonly openedMs: number;
  readonly workTotal: number;
  /** `doneCount` of `isDone` are true. */
  readonly #isDone: boolean[];
  #doneCount = 0;
  #workDone = 0;
  #rowsDone = 0;
  readonly #doneBySession = new Map<string, number>();
  readonly #failures = new Map<number, Set<string>>();
  readonly #failureCounts = new Map<number, number>();
  readonly #losses = new Map<number, number>();
  readonly #expiries = new Map<number, number>();

  constructor(phase: Phase, blocks: readonly PlanBlock[], openedMs: number) {
    this.phase = phase;
    this.blocks = blocks;
    this.openedMs = openedMs;
    this.workTotal = blocks.reduce((sum, block) => sum + block.work, 0);
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
    return this.#doneCount === this.blocks.length;
  }

  /** Blocks delivered, by session. */
  get doneBySession(): ReadonlyMap<string, number> {
    return this.#doneBySession;
  }

  isDone(block: number): boolean {
    return this.#isDone[block]!;
  }

  markDone(block: PlanBlock, sessionId: string): void {
    this.#isDone[block.index] = true;
    this.#doneCount++;
    this.#workDone += block.work;
    this.#rowsDone += block.rowEnd - block.rowStart;
    this.#doneBySession.set(sessionId, (this.#doneBySession.get(sessionId) ?? 0) + 1);
  }

  /** Counts a failure that the session reported; returns how many the block has. */
  countFailure(block: number, sessionId: string): number {
    const sessions = this.#failures.get(block) ?? new Set();
    this.#failures.set(block, sessions.add(sessionId));
    return increment(this.#failureCounts, block);
  }

  /** True when the block failed at this session before: others are to try first. */
  hasFailedAt(block: number, sessionId: string): boolean {
    return this.#failures.get(block)?.has(sessionId) ?? false;
  }

  /** Sessions at which the block failed. */
  failedAt(block: number): ReadonlySet<string> {
    return this.#failures.get(block) ?? new Set();
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
