// The clocks of push/pull training: which block may begin, what a read sees, which push counts. Pure: no I/O, no time,
// no chance; docs/protocol.md has the states and invariants.

import { assert } from '../../../common/errors.js';
import { leadMax, type SyncMode } from './sync-mode.js';

/**
 * `accepted`: it counts. `duplicate`: this clock of the block was applied before. `early`: the block has not come to
 * this clock, or may not do it yet; no honest worker sends that.
 */
export type PushVerdict = 'accepted' | 'duplicate' | 'early';

/**
 * `served`: the read sees every update stamped below `clock`, and the block's own; it is `staleness` clocks behind.
 * `held`: wait for another push and ask again. `gone`: the block has done this clock already.
 */
export type ReadVerdict =
  | { readonly kind: 'served'; readonly clock: number; readonly staleness: number }
  | { readonly kind: 'held' }
  | { readonly kind: 'gone' };

/** What a push changed besides the block's own clock. */
export interface ClockChange {
  /** Clocks that are complete now: every block's update of them is in. Ascending. */
  readonly completed: readonly number[];
  /** Blocks that may begin their next clock now, ascending. */
  readonly startable: readonly number[];
}

export interface SyncClocksOptions {
  readonly mode: SyncMode;
  /** Blocks, >= 1. */
  readonly blocks: number;
  /** Clock at which all of them begin. */
  readonly clockStart: number;
  /** One past the last clock to do. */
  readonly clockEnd: number;
}

/**
 * Every block counts its finished clocks; a block at clock c has applied its updates 0 … c − 1, each once, in order:
 * that number is all there is to remember of (block, clock), for as long as the run lasts.
 *
 * Invariants, with S = `leadMax` of the mode and `slowest` the least clock of any block:
 * clockStart <= slowest <= clockOf(b) <= min(slowest + S + 1, clockEnd); no clock goes back.
 */
export class SyncClocks {
  readonly #leadMax: number;
  readonly #clockEnd: number;
  readonly #clocks: Int32Array;
  /** Blocks at each clock from `#slowest` on: how many. */
  readonly #blocksAt = new Map<number, number>();
  #slowest: number;

  constructor({ mode, blocks, clockStart, clockEnd }: SyncClocksOptions) {
    assert(blocks >= 1 && clockStart <= clockEnd, 'there is something to do');
    this.#leadMax = leadMax(mode);
    this.#clockEnd = clockEnd;
    this.#clocks = new Int32Array(blocks).fill(clockStart);
    this.#blocksAt.set(clockStart, blocks);
    this.#slowest = clockStart;
  }

  get blocks(): number {
    return this.#clocks.length;
  }

  /** Clocks that are complete: every block's updates stamped below it are in. */
  get slowest(): number {
    return this.#slowest;
  }

  get isComplete(): boolean {
    return this.#slowest === this.#clockEnd;
  }

  /** Finished clocks of a block. */
  clockOf(block: number): number {
    return this.#clocks[block]!;
  }

  hasEnded(block: number): boolean {
    return this.#clocks[block] === this.#clockEnd;
  }

  /** Whether a block may begin its next clock c: only while the slowest block is at c − S or later. */
  mayStart(block: number): boolean {
    return !this.hasEnded(block) && this.#slowest >= this.#clocks[block]! - this.#leadMax;
  }

  read(block: number, clock: number): ReadVerdict {
    const own = this.#clocks[block]!;
    if (clock < own) return { kind: 'gone' };
    if (clock > own || !this.mayStart(block)) return { kind: 'held' };
    return { kind: 'served', clock: this.#slowest, staleness: clock - this.#slowest };
  }

  judge(block: number, clock: number): PushVerdict {
    const own = this.#clocks[block]!;
    if (clock < own) return 'duplicate';
    return clock === own && this.mayStart(block) ? 'accepted' : 'early';
  }

  /** Takes an accepted push. */
  finish(block: number, clock: number): ClockChange {
    assert(this.judge(block, clock) === 'accepted', `block ${block} is at clock ${clock}`);
    this.#clocks[block] = clock + 1;
    this.#blocksAt.set(clock, this.#blocksAt.get(clock)! - 1);
    this.#blocksAt.set(clock + 1, (this.#blocksAt.get(clock + 1) ?? 0) + 1);
    const completed: number[] = [];
    while (this.#slowest < this.#clockEnd && this.#blocksAt.get(this.#slowest) === 0) {
      this.#blocksAt.delete(this.#slowest);
      completed.push(this.#slowest++);
    }
    return { completed, startable: this.#startable(block, completed.length) };
  }

  /** The block itself, and those that had waited for the clocks just completed. */
  #startable(block: number, completed: number): number[] {
    if (completed === 0) return this.mayStart(block) ? [block] : [];
    const before = this.#slowest - completed;
    const startable: number[] = [];
    for (let other = 0; other < this.blocks; other++) {
      const waited = before < this.#clocks[other]! - this.#leadMax;
      if ((waited || other === block) && this.mayStart(other)) startable.push(other);
    }
    return startable;
  }
}
