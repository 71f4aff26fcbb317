import { assert, ShapeError, StoaError } from '../../common/errors.js';
import { addWords } from './mask-stream.js';
import type { MaskedChunk } from './messages.js';
import type { RoundTerms } from './round-terms.js';
import { wipe } from './secrets.js';
import { unpackWords } from './word-bytes.js';

/**
 * Masked words as they arrive, and the sum of those that are whole. A member's words join the sum when its last piece is
 * there: half of them could not be taken out again.
 *
 * Memory: (1 + uploadsMax) sums of 8 bytes a word, however many members there are.
 */
export class MaskedUploads {
  readonly #terms: RoundTerms;
  readonly #uploadsMax: number;
  readonly #uploads = new Map<number, { words: BigUint64Array; wordEnd: number }>();
  readonly #whole = new Set<number>();
  readonly sum: BigUint64Array;

  constructor(terms: RoundTerms, uploadsMax: number) {
    this.#terms = terms;
    this.#uploadsMax = uploadsMax;
    this.sum = new BigUint64Array(terms.length);
  }

  /** Whose words are all in the sum. */
  get whole(): ReadonlySet<number> {
    return this.#whole;
  }

  /**
   * @returns false: the piece was there already.
   * @throws {ShapeError} `STOA_SHAPE`: not whole words, beyond the sum, or not the next piece.
   * @throws {StoaError} `STOA_BUSY`: as many members send as may at a time; the sender waits for one to finish.
   */
  add({ member, wordStart, bytes }: MaskedChunk): boolean {
    const count = (8 * bytes.length) / this.#terms.ring.bits;
    const isPiece =
      Number.isInteger(count) && count >= 1 && Number.isSafeInteger(wordStart) && wordStart >= 0;
    if (!isPiece || wordStart + count > this.#terms.length) {
      throw new ShapeError(
        'STOA_SHAPE',
        `${bytes.length} bytes from word ${wordStart} are no piece of a sum of ${this.#terms.length} words`,
      );
    }
    if (this.#whole.has(member)) return false;
    const upload = this.#uploads.get(member) ?? this.#begin(member);
    if (wordStart + count <= upload.wordEnd) return false;
    if (wordStart !== upload.wordEnd) {
      throw new ShapeError(
        'STOA_SHAPE',
        `a piece begins at word ${wordStart}, and word ${upload.wordEnd} is next`,
      );
    }
    unpackWords(bytes, this.#terms.ring, upload.words.subarray(wordStart, wordStart + count));
    upload.wordEnd += count;
    if (upload.wordEnd === this.#terms.length) this.#finish(member, upload.words);
    return true;
  }

  /** Forgets what a member sent that is not whole, so that another can send. */
  abandon(member: number): void {
    this.#uploads.delete(member);
  }

  /** Forgets all that is not whole. */
  close(): void {
    this.#uploads.clear();
  }

  wipe(): void {
    this.#uploads.clear();
    wipe(this.sum);
  }

  #begin(member: number): { words: BigUint64Array; wordEnd: number } {
    if (this.#uploads.size >= this.#uploadsMax) {
      throw new StoaError(
        'STOA_BUSY',
        `${this.#uploadsMax} participants send their sums; try again when one is done`,
      );
    }
    const upload = { words: new BigUint64Array(this.#terms.length), wordEnd: 0 };
    this.#uploads.set(member, upload);
    return upload;
  }

  #finish(member: number, words: BigUint64Array): void {
    assert(!this.#whole.has(member), 'words join the sum once');
    addWords(this.sum, words);
    this.#uploads.delete(member);
    this.#whole.add(member);
  }
}
