import type { Side } from '../../models/csr.js';
import type { AcceptedResult } from '../../proto/generated/stoa/parameters/v1/AcceptedResult.js';

export interface CommitTask {
  readonly kind: 'commit';
  readonly side: Side;
  readonly clock: number;
  /** Keeps the rows that are kept at the clock, for longer. */
  readonly isBest: boolean;
}

/** One call to a parameter process. */
export type HolderTask = CommitTask | { readonly kind: 'accept'; readonly results: AcceptedResult[] };

/** Results told at once at most. */
const RESULTS_MAX = 1024;

/**
 * What one parameter process is still to be told, in order: it hears of a result before the end of the phase that the
 * result belongs to. Pure: who makes the calls, and makes them again while they may yet be answered, is the caller.
 */
export class HolderTasks {
  readonly #queue: (CommitTask | { readonly kind: 'result'; readonly result: AcceptedResult })[] = [];
  /** At the head of the queue: those of the call that was not answered yet. */
  #underWay = 0;
  /** 0 <= doneCount <= putCount. */
  #doneCount = 0;

  /** Tasks so far. */
  get putCount(): number {
    return this.#doneCount + this.#queue.length;
  }

  /** Those that the process has confirmed, the first ones. */
  get doneCount(): number {
    return this.#doneCount;
  }

  accept(result: AcceptedResult): void {
    this.#queue.push({ kind: 'result', result });
  }

  commit(side: Side, clock: number, isBest: boolean): void {
    this.#queue.push({ kind: 'commit', side, clock, isBest });
  }

  /** The call to make now; undefined: none, or one is under way. */
  next(): HolderTask | undefined {
    const [first] = this.#queue;
    if (this.#underWay > 0 || first === undefined) return undefined;
    if (first.kind === 'commit') {
      this.#underWay = 1;
      return first;
    }
    const results: AcceptedResult[] = [];
    for (const task of this.#queue) {
      if (task.kind === 'commit' || results.length === RESULTS_MAX) break;
      results.push(task.result);
    }
    this.#underWay = results.length;
    return { kind: 'accept', results };
  }

  /** The process has confirmed the call under way. */
  done(): void {
    this.#queue.splice(0, this.#underWay);
    this.#doneCount += this.#underWay;
    this.#underWay = 0;
  }
}
