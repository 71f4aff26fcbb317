import type { ReadVerdict, SyncClocks } from './sync-clocks.js';

/** Reads of one block that may wait: its worker, and those whose lease of it is over and who do not know yet. */
const HELD_PER_BLOCK_MAX = 8;

export interface HeldRead<T> {
  readonly block: number;
  readonly clock: number;
  /** What the rim gave: comes back when the read is answered. */
  readonly token: T;
}

export type ReadAnswer<T> = { readonly token: T; readonly verdict: Exclude<ReadVerdict, { kind: 'held' }> };

/** Reads that came before they can be served wait here, in order of arrival. */
export class HeldReads<T> {
  readonly #byBlock = new Map<number, HeldRead<T>[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Answers a read, or holds it back. Past the bound the oldest read of the block is turned away as gone. */
  ask(clocks: SyncClocks, read: HeldRead<T>): ReadAnswer<T>[] {
    const verdict = clocks.read(read.block, read.clock);
    if (verdict.kind !== 'held') return [{ token: read.token, verdict }];
    const held = this.#byBlock.get(read.block) ?? [];
    this.#byBlock.set(read.block, held);
    held.push(read);
    this.#size++;
    if (held.length <= HELD_PER_BLOCK_MAX) return [];
    this.#size--;
    return [{ token: held.shift()!.token, verdict: { kind: 'gone' } }];
  }

  /** The answers that can be given after a push. */
  release(clocks: SyncClocks): ReadAnswer<T>[] {
    const answers: ReadAnswer<T>[] = [];
    for (const [block, held] of this.#byBlock) {
      const waiting = held.filter(({ clock, token }) => {
        const verdict = clocks.read(block, clock);
        if (verdict.kind === 'held') return true;
        answers.push({ token, verdict });
        return false;
      });
      this.#size -= held.length - waiting.length;
      if (waiting.length === 0) this.#byBlock.delete(block);
      else this.#byBlock.set(block, waiting);
    }
    return answers;
  }

  /** Forgets all reads: the run is over. Returns them. */
  clear(): HeldRead<T>[] {
    const all = [...this.#byBlock.values()].flat();
    this.#byBlock.clear();
    this.#size = 0;
    return all;
  }

  /** Forgets a read whose caller is gone. */
  drop(token: T): void {
    for (const [block, held] of this.#byBlock) {
      const waiting = held.filter((read) => read.token !== token);
      this.#size -= held.length - waiting.length;
      if (waiting.length === 0) this.#byBlock.delete(block);
      else this.#byBlock.set(block, waiting);
    }
  }
}
