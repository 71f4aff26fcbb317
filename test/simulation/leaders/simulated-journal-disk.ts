// The folder of journals that all coordinators share. Records of a term lie in its store in no order, beside copies that
// were torn when they were written; what no sync has confirmed may be there after a crash, or not, or in part.

import type { Random } from '../../../common/random.js';

interface Store {
  /** Pieces of the file; every whole record that is durable is among them. */
  readonly pieces: Buffer[];
}

export class SimulatedJournalDisk {
  readonly #stores = new Map<number, Store>();
  readonly #random: Random;
  torn = 0;
  vanished = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  terms(): number[] {
    return [...this.#stores.keys()].sort((a, b) => a - b);
  }

  /** False when there is a store of the term already. */
  makeTerm(term: number): boolean {
    if (this.#stores.has(term)) return false;
    this.#stores.set(term, { pieces: [] });
    return true;
  }

  removeTerm(term: number): void {
    this.#stores.delete(term);
  }

  bytes(term: number): Buffer {
    return Buffer.concat(this.#stores.get(term)?.pieces ?? []);
  }

  /** A record is on disk, whole. */
  confirm(term: number, record: Buffer): void {
    if (this.#random.int(4) === 0) this.#tear(term, record);
    this.#put(term, record);
  }

  /** Whoever wrote it is gone before the disk has confirmed it. */
  abandon(term: number, record: Buffer): void {
    const fate = this.#random.int(3);
    if (fate === 0) this.#put(term, record);
    else if (fate === 1) this.#tear(term, record);
    else this.vanished++;
  }

  #tear(term: number, record: Buffer): void {
    const copy = Buffer.alloc(record.length);
    record.copy(copy, 0, 0, this.#random.int(record.length));
    this.torn++;
    this.#put(term, copy);
  }

  /** Copy-on-write puts a page wherever there is room. */
  #put(term: number, piece: Buffer): void {
    const pieces = this.#stores.get(term)?.pieces;
    pieces?.splice(this.#random.int(pieces.length + 1), 0, piece);
  }
}
