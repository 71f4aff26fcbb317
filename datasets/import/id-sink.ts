// Where the reader puts the ids of a side: numbered at once in this thread, or in a thread of their own, so that
// DuckDB's rows are fetched while the rows before are still being numbered.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { builtEntry } from '../../common/package-root.js';
import { sharedInt32 } from '../../common/shared-memory.js';
import type { EncoderReply, EncoderRequest, EncoderSetup, LongId } from './encoder-thread.js';
import { IdEncoder, INLINE_BYTES, STRING_WORDS } from './id-encoder.js';
import { type SortedIds, sortIds } from './sort-ids.js';

export interface IdSink {
  /**
   * Takes the ids of some rows; their numbers are written to `out` from `at` on, at the latest by `drain`.
   * A promise, when there is one, must be awaited before the next call.
   *
   * @param words as `IdEncoder.encode`.
   */
  append(
    words: readonly Int32Array[],
    rows: number,
    out: Int32Array,
    at: number,
    textOf: (row: number) => string,
  ): Promise<void> | undefined;
  /** Waits until all numbers are written. */
  drain(): Promise<void>;
  /** Drains and gives all ids in order. */
  finish(): Promise<SortedIds>;
  close(): Promise<void>;
}

/** Numbers ids as they come. */
export class InlineIdSink implements IdSink {
  private readonly encoder: IdEncoder;

  constructor(pieces: number) {
    this.encoder = new IdEncoder(pieces);
  }

  append(
    words: readonly Int32Array[],
    rows: number,
    out: Int32Array,
    at: number,
    textOf: (row: number) => string,
  ): undefined {
    this.encoder.encode(words, rows, out, at, textOf);
  }

  async drain(): Promise<void> {}

  async finish(): Promise<SortedIds> {
    return sortIds(this.encoder.texts());
  }

  async close(): Promise<void> {}
}

/** Rows of a batch: a message for each chunk of 2048 would cost as much as numbering it. */
const BATCH_ROWS = 1 << 17;
/** Most rows of a chunk of DuckDB. */
const CHUNK_ROWS_MAX = 2048;
/** Batches on their way; more would only hold memory. */
const BATCHES = 3;

/** Copies ids into batches, which a thread numbers one after the other. */
export class ThreadedIdSink implements IdSink {
  private readonly pieces: number;
  private readonly worker: Worker;
  /** [1 + pieces, BATCH_ROWS, 4 words] each. The thread has them, too: sending memory again and again costs. */
  private readonly batches: Int32Array[];
  /** Batches sent and answered so far; number n lies in `batches[n % BATCHES]`. */
  private sent = 0;
  private answered = 0;
  /** The batch that is being filled. */
  private rows = 0;
  private at = 0;
  private long: LongId[] = [];
  /** The column that the thread writes to. */
  private out: Int32Array | undefined;
  private failure: Error | undefined;

  constructor(pieces: number) {
    this.pieces = pieces;
    this.batches = Array.from({ length: BATCHES }, () =>
      sharedInt32((1 + pieces) * BATCH_ROWS * STRING_WORDS),
    );
    const workerData: EncoderSetup = { pieces, batches: this.batches, batchRows: BATCH_ROWS };
    this.worker = new Worker(builtEntry('datasets/import/encoder-thread.js'), { workerData });
    this.worker.on('message', (reply: EncoderReply) => {
      if (reply.kind === 'encoded') this.answered++;
    });
    this.worker.on('error', (error) => {
      this.failure = error;
    });
  }

  append(
    words: readonly Int32Array[],
    rows: number,
    out: Int32Array,
    at: number,
    textOf: (row: number) => string,
  ): Promise<void> | undefined {
    if (out !== this.out) {
      this.out = out;
      this.post({ kind: 'attach', out });
    }
    if (this.rows === 0) this.at = at;
    const batch = this.batches[this.sent % BATCHES]!;
    words.forEach((column, n) => {
      batch.set(column, (n * BATCH_ROWS + this.rows) * STRING_WORDS);
    });
    const lengthMax = Math.max(1, this.pieces) * INLINE_BYTES;
    const lengths = words[0]!;
    for (let row = 0; row < rows; row++) {
      if (lengths[row * STRING_WORDS]! > lengthMax)
        this.long.push({ row: this.rows + row, text: textOf(row) });
    }
    this.rows += rows;
    if (this.rows + CHUNK_ROWS_MAX <= BATCH_ROWS) return undefined;
    this.send();
    return this.hasRoom() ? undefined : this.waitFor(() => this.hasRoom());
  }

  async drain(): Promise<void> {
    if (this.rows > 0) this.send();
    await this.waitFor(() => this.answered === this.sent);
  }

  async finish(): Promise<SortedIds> {
    await this.drain();
    this.post({ kind: 'finish' });
    const [reply] = (await once(this.worker, 'message')) as [EncoderReply & { kind: 'sorted' }];
    return reply.ids;
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }

  private send(): void {
    const { rows, at, long } = this;
    this.post({ kind: 'encode', batch: this.sent % BATCHES, rows, at, long });
    this.sent++;
    this.rows = 0;
    this.long = [];
  }

  private hasRoom(): boolean {
    return this.sent - this.answered < BATCHES;
  }

  private post(request: EncoderRequest): void {
    this.worker.postMessage(request);
  }

  private async waitFor(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.failure !== undefined) throw this.failure;
      // Rejects when the thread fails.
      await once(this.worker, 'message');
    }
  }
}
