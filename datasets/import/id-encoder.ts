// Gives each distinct id a number in order of first sight. Ids arrive as the 16-byte strings of DuckDB's vectors and
// are compared as whole words of bytes: no JavaScript string is made for an id that was seen before.

/** Bytes that one 16-byte string of DuckDB holds itself; longer ones lie elsewhere. */
export const INLINE_BYTES = 12;
/** Words of such a string: its length in bytes, then the bytes, padded with zeros. */
export const STRING_WORDS = 4;
const CAPACITY_START = 1 << 12;

export class IdEncoder {
  /** Distinct ids so far. */
  count = 0;
  /** Pieces of 12 bytes that ids come in besides themselves; 0: ids of more than 12 bytes take the slow path. */
  readonly pieces: number;
  /** Words of a key: length, then three for each piece (or the id itself). */
  private readonly stride: number;
  /** Key of id n at n·stride. Ids on the slow path have a length of −1 there, which no string has. */
  private keys: Int32Array;
  /** Open addressing, at most a quarter full: id, or −1. Length is a power of two. */
  private slots: Int32Array;
  private readonly longIds = new Map<string, number>();
  private readonly longTexts = new Map<number, string>();

  constructor(pieces: number) {
    this.pieces = pieces;
    this.stride = 1 + 3 * Math.max(1, pieces);
    this.keys = new Int32Array(CAPACITY_START * this.stride);
    this.slots = new Int32Array(CAPACITY_START * 4).fill(-1);
  }

  /**
   * Writes the number of each row's id at `out[at + row]`.
   *
   * @param words  4 words a row: the id column, or when there are pieces, the id column and then each piece.
   * @param textOf the id of a row as text, asked for only when it does not fit a key.
   */
  encode(
    words: readonly Int32Array[],
    rows: number,
    out: Int32Array,
    at: number,
    textOf: (row: number) => string,
  ): void {
    this.reserve(rows);
    if (this.pieces === 0) this.encodeWhole(words[0]!, rows, out, at, textOf);
    else this.encodePieced(words, rows, out, at, textOf);
  }

  /** The ids by number. */
  texts(): string[] {
    const bytes = Buffer.from(this.keys.buffer);
    const texts = new Array<string>(this.count);
    for (let id = 0; id < this.count; id++) {
      const key = id * this.stride;
      const start = (key + 1) * 4;
      const length = this.keys[key]!;
      texts[id] = length < 0 ? this.longTexts.get(id)! : bytes.toString('utf8', start, start + length);
    }
    return texts;
  }

  private encodeWhole(
    words: Int32Array,
    rows: number,
    out: Int32Array,
    at: number,
    textOf: (row: number) => string,
  ): void {
    const { keys, slots } = this;
    const mask = slots.length - 1;
    let id = -1;
    for (let row = 0; row < rows; row++) {
      const word = row * STRING_WORDS;
      const length = words[word]!;
      const a = words[word + 1]!;
      const b = words[word + 2]!;
      const c = words[word + 3]!;
      if (length > INLINE_BYTES) {
        out[at + row] = this.encodeText(textOf(row));
        id = -1;
        continue;
      }
      // Files are often grouped by user: then the row before had the same one.
      if (
        row > 0 &&
        id >= 0 &&
        a === words[word - 3] &&
        b === words[word - 2] &&
        c === words[word - 1] &&
        length === words[word - 4]
      ) {
        out[at + row] = id;
        continue;
      }
      let slot = mixLast(mix(mix(mix(length, a), b), c)) & mask;
      id = slots[slot]!;
      while (id >= 0) {
        const key = id * 4;
        if (keys[key + 1] === a && keys[key + 2] === b && keys[key + 3] === c && keys[key] === length) break;
        slot = (slot + 1) & mask;
        id = slots[slot]!;
      }
      if (id < 0) {
        id = this.count++;
        slots[slot] = id;
        keys.set([length, a, b, c], id * 4);
      }
      out[at + row] = id;
    }
  }

  private encodePieced(
    words: readonly Int32Array[],
    rows: number,
    out: Int32Array,
    at: number,
    textOf: (row: number) => string,
  ): void {
    const { keys, slots, stride, pieces } = this;
    const mask = slots.length - 1;
    for (let row = 0; row < rows; row++) {
      const length = words[0]![row * STRING_WORDS]!;
      if (length > pieces * INLINE_BYTES) {
        out[at + row] = this.encodeText(textOf(row));
        continue;
      }
      // The key is written behind the last one, where it stays if it turns out to be new.
      const fresh = this.count * stride;
      let hash = length;
      let word = fresh;
      keys[word++] = length;
      for (let piece = 1; piece <= pieces; piece++) {
        const column = words[piece]!;
        const from = row * STRING_WORDS + 1;
        const a = column[from]!;
        const b = column[from + 1]!;
        const c = column[from + 2]!;
        keys[word++] = a;
        keys[word++] = b;
        keys[word++] = c;
        hash = mix(mix(mix(hash, a), b), c);
      }
      out[at + row] = this.findOrAdd(slots, mixLast(hash) & mask, fresh);
    }
  }

  private findOrAdd(slots: Int32Array, start: number, fresh: number): number {
    const { keys, stride } = this;
    const mask = slots.length - 1;
    for (let slot = start; ; slot = (slot + 1) & mask) {
      const id = slots[slot]!;
      if (id < 0) {
        slots[slot] = this.count;
        return this.count++;
      }
      let word = 0;
      while (word < stride && keys[id * stride + word] === keys[fresh + word]) word++;
      if (word === stride) return id;
    }
  }

  private encodeText(text: string): number {
    const known = this.longIds.get(text);
    if (known !== undefined) return known;
    const id = this.count++;
    this.keys[id * this.stride] = -1;
    this.longIds.set(text, id);
    this.longTexts.set(id, text);
    return id;
  }

  /** Makes room for `more` new ids. */
  private reserve(more: number): void {
    const needed = this.count + more + 1;
    if (needed * this.stride > this.keys.length) {
      const keys = new Int32Array(2 * needed * this.stride);
      keys.set(this.keys);
      this.keys = keys;
    }
    if (needed * 4 > this.slots.length) this.rehash(needed * 4);
  }

  private rehash(sizeMin: number): void {
    let size = this.slots.length;
    while (size < sizeMin) size *= 2;
    const slots = new Int32Array(size).fill(-1);
    for (let id = 0; id < this.count; id++) {
      const key = id * this.stride;
      if (this.keys[key]! < 0) continue;
      let hash = this.keys[key]!;
      for (let word = 1; word < this.stride; word++) hash = mix(hash, this.keys[key + word]!);
      let slot = mixLast(hash) & (size - 1);
      while (slots[slot]! >= 0) slot = (slot + 1) & (size - 1);
      slots[slot] = id;
    }
    this.slots = slots;
  }
}

/** Takes one more word into a hash: a multiplication by 2³² over the golden ratio, whose high bits are good. */
function mix(hash: number, word: number): number {
  const h = Math.imul(hash ^ word, 0x9e3779b1);
  return h ^ (h >>> 15);
}

/**
 * Spreads the last words over all bits: without it, ids that differ in their last letters share slots.
 * Source: the finalizer of MurmurHash3 (32 bit), Austin Appleby, MurmurHash3.cpp, public domain.
 */
function mixLast(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
