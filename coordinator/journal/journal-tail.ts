import type { Fence } from '../leader/fence.js';
import type { JournalEntry } from './entries.js';
import { applyEntry, type JournalState } from './journal-state.js';
import { type ChainHead, chainStart, encodeRecord } from './records.js';

/**
 * What a term writes, in its order, without the disk: records are begun one after the other, and count when they are
 * on disk and the term is not over.
 */
export class JournalTail {
  readonly #fence: Fence;
  readonly #state: JournalState;
  #head: ChainHead;

  /** @param state what was journaled before the term; entries of the term are added. */
  constructor(fence: Fence, state: JournalState) {
    this.#fence = fence;
    this.#state = state;
    this.#head = chainStart(fence.term);
  }

  get state(): JournalState {
    return this.#state;
  }

  /**
   * The record of an entry, to be written.
   *
   * @param requireRoom throws where there is no room for so many bytes: nothing is begun then.
   * @throws {FencedError} `STOA_NOT_LEADER`: the term is over.
   */
  begin(entry: JournalEntry, requireRoom: (bytes: number) => void): { sequence: number; bytes: Buffer } {
    this.#fence.check();
    const payload = Buffer.from(JSON.stringify(entry));
    requireRoom(payload.length);
    const { bytes, head } = encodeRecord(this.#head, payload);
    this.#head = head;
    return { sequence: head.sequence, bytes };
  }

  /**
   * The entry's record is on disk: it may be acknowledged.
   *
   * @throws {FencedError} `STOA_NOT_LEADER`: the term is over by now; nobody may be told of the entry.
   */
  confirm(entry: JournalEntry): void {
    this.#fence.check();
    applyEntry(this.#state, entry);
  }
}
