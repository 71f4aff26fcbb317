// The thread of a ThreadedIdSink: numbers batches of ids, and sorts them when there are no more.

import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../common/errors.js';
import { IdEncoder, STRING_WORDS } from './id-encoder.js';
import { type SortedIds, sortIds } from './sort-ids.js';

/** An id that does not fit a key, with its row in the batch. */
export interface LongId {
  row: number;
  text: string;
}

/** All arrays are over SharedArrayBuffers. */
export interface EncoderSetup {
  pieces: number;
  /** [1 + pieces, batchRows, 4 words] each. */
  batches: Int32Array[];
  batchRows: number;
}

export type EncoderRequest =
  /** From now on numbers are written to this column. */
  | { kind: 'attach'; out: Int32Array }
  /** The first `rows` of a batch get their numbers at `out[at]`… */
  | { kind: 'encode'; batch: number; rows: number; at: number; long: LongId[] }
  | { kind: 'finish' };

export type EncoderReply = { kind: 'encoded' } | { kind: 'sorted'; ids: SortedIds };

assert(parentPort !== null, 'encoder-thread.ts runs in a thread');
const port = parentPort;
const { pieces, batches, batchRows } = workerData as EncoderSetup;
const encoder = new IdEncoder(pieces);
let column: Int32Array = new Int32Array(0);

port.on('message', (request: EncoderRequest) => {
  if (request.kind === 'attach') column = request.out;
  else if (request.kind === 'finish') reply({ kind: 'sorted', ids: sortIds(encoder.texts()) });
  else {
    encode(request.batch, request.rows, request.at, request.long);
    reply({ kind: 'encoded' });
  }
});

function encode(batch: number, rows: number, at: number, long: LongId[]): void {
  const words = Array.from({ length: 1 + pieces }, (_, n) =>
    batches[batch]!.subarray(n * batchRows * STRING_WORDS, (n * batchRows + rows) * STRING_WORDS),
  );
  const texts = new Map(long.map(({ row, text }) => [row, text]));
  encoder.encode(words, rows, column, at, (row) => texts.get(row)!);
}

function reply(message: EncoderReply): void {
  port.postMessage(message);
}
