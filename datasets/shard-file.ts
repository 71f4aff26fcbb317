// A CSR shard as an Arrow IPC file: one record batch whose list columns hold, for each row, the other side's rows
// (`items` or `users`, list<int32>), `values` (list<float32>) and `times` (list<int32> where all fit, else list<float64>). Any Arrow reader reads it;
// ours takes the arrays as views of the file's bytes.

import {
  type Data,
  Field,
  Float32,
  Float64,
  Int32,
  List,
  makeData,
  RecordBatch,
  RecordBatchFileWriter,
  Schema,
  Struct,
  type Table,
  tableFromIPC,
} from 'apache-arrow';
import { sha256 } from '../common/checksums.js';
import { assert, CorruptError } from '../common/errors.js';
import { sharedBytes } from '../common/shared-memory.js';
import type { Csr, Side } from '../models/csr.js';
import { type TimeColumn, widenTimes } from './csr/time-column.js';
import type { DatasetManifest, ShardEntry } from './manifest.js';

/** Some rows of a side, with all arrays over SharedArrayBuffers. */
export interface CsrShard {
  side: Side;
  index: number;
  rowStart: number;
  rowEnd: number;
  /** `rows` = rowEnd − rowStart, `ptr` starts at 0, `cols` is the size of the other side. */
  csr: Csr;
  /** Parallel to `csr.idx`; users' shards only. */
  times?: Float64Array;
}

/** `by-user/0003.arrow`. */
export function shardFileName(side: Side, index: number): string {
  return `by-${side === 'users' ? 'user' : 'item'}/${String(index).padStart(4, '0')}.arrow`;
}

/**
 * The bytes of a shard's file, in pieces that are to be written one after the other; most are views of the arrays.
 * Same input, same bytes.
 */
export async function encodeShard(side: Side, csr: Csr, times?: TimeColumn): Promise<Uint8Array[]> {
  const { ptr, idx, values } = csr;
  const nullCount = 0;
  const columns = [listColumn(otherName(side), ptr, makeData({ type: new Int32(), data: idx, nullCount }))];
  if (values !== undefined) {
    columns.push(listColumn('values', ptr, makeData({ type: new Float32(), data: values, nullCount })));
  }
  if (times !== undefined) {
    const data =
      times instanceof Int32Array
        ? makeData({ type: new Int32(), data: times, nullCount })
        : makeData({ type: new Float64(), data: times, nullCount });
    columns.push(listColumn('times', ptr, data));
  }
  const schema = new Schema(columns.map((column) => new Field(column.name, column.data.type, false)));
  const children = columns.map((column) => column.data);
  const struct = makeData({ type: new Struct(schema.fields), length: csr.rows, nullCount: 0, children });
  const writer = new RecordBatchFileWriter();
  writer.write(new RecordBatch(schema, struct));
  writer.close();
  const pieces: Uint8Array[] = [];
  for await (const piece of writer) pieces.push(piece);
  return pieces;
}

interface Column {
  name: string;
  data: Data;
}

function listColumn(name: string, valueOffsets: Int32Array, child: Data): Column {
  const type = new List(new Field('item', child.type, false));
  const length = valueOffsets.length - 1;
  return { name, data: makeData({ type, length, nullCount: 0, valueOffsets, child }) };
}

/**
 * Reads a shard from the bytes of its file, without a copy when they lie over a SharedArrayBuffer.
 *
 * @param dir the dataset's folder, for messages.
 * @param options.withTimes false: times are left out, and the memory that they would take. @default true
 * @throws {CorruptError} `STOA_TORN`, `STOA_CHECKSUM`: the bytes are not those of the manifest.
 */
export function parseShard(
  bytes: Uint8Array,
  entry: ShardEntry,
  side: Side,
  index: number,
  manifest: DatasetManifest,
  dir?: string,
  { withTimes = true }: { withTimes?: boolean } = {},
): CsrShard {
  const where = dir === undefined ? entry.file : `${dir}/${entry.file}`;
  checkFile(bytes, entry.file, manifest, where);
  const rows = entry.rowEnd - entry.rowStart;
  const columns = readColumns(toShared(bytes), side, rows, withTimes);
  if (columns === null) throw damaged(where, 'is not a shard of this dataset');
  const cols = side === 'users' ? manifest.items : manifest.users;
  const { times, ...csr } = columns;
  if (!isCsr({ rows, cols, ...csr }, entry.interactions))
    throw damaged(where, 'breaks the rules of its format');
  return {
    side,
    index,
    rowStart: entry.rowStart,
    rowEnd: entry.rowEnd,
    csr: { rows, cols, ...csr },
    times,
  };
}

/**
 * Compares length and SHA-256 of a dataset's file with the manifest.
 *
 * @param where the file's full name, for messages.
 * @throws {CorruptError} `STOA_TORN`, `STOA_CHECKSUM`.
 */
export function checkFile(bytes: Uint8Array, file: string, manifest: DatasetManifest, where: string): void {
  const entry = manifest.files[file];
  assert(entry !== undefined, `${file} is not in the manifest`);
  if (bytes.length !== entry.bytes) {
    throw new CorruptError(
      'STOA_TORN',
      `${where} has ${bytes.length} bytes instead of ${entry.bytes}; import the data again`,
      { fields: { file: where } },
    );
  }
  if (sha256(bytes) !== entry.sha256) throw damaged(where, 'does not match its checksum');
}

function damaged(where: string, what: string): CorruptError {
  return new CorruptError(
    'STOA_CHECKSUM',
    `${where} ${what}: it was changed or damaged; import the data again`,
    {
      fields: { file: where },
    },
  );
}

interface ShardColumns {
  ptr: Int32Array;
  idx: Int32Array;
  values?: Float32Array;
  times?: Float64Array;
}

function readColumns(bytes: Uint8Array, side: Side, rows: number, withTimes: boolean): ShardColumns | null {
  const table: Table = tableFromIPC(bytes);
  const batch = table.batches[0];
  if (table.batches.length !== 1 || batch === undefined || batch.numRows !== rows) return null;
  const lists = new Map<string, Data>();
  table.schema.fields.forEach((field, column) => {
    lists.set(field.name, batch.data.children[column]!);
  });
  const indexes = lists.get(otherName(side));
  if (indexes === undefined) return null;
  const ptr = (indexes.valueOffsets as Int32Array).subarray(0, rows + 1);
  // Arrow pads buffers to 8 bytes, so the arrays may be longer than what is in them.
  const entriesOf = (name: string) => lists.get(name)?.children[0]?.values.subarray(0, ptr[rows]);
  const times = withTimes ? (entriesOf('times') as TimeColumn | undefined) : undefined;
  return {
    ptr,
    idx: entriesOf(otherName(side)) as Int32Array,
    values: entriesOf('values') as Float32Array | undefined,
    times: times === undefined ? undefined : widenTimes(times),
  };
}

/** The invariants of models/csr.ts. */
function isCsr({ rows, cols, ptr, idx, values }: Csr, interactions: number): boolean {
  if (ptr.length !== rows + 1 || ptr[0] !== 0 || ptr[rows] !== interactions || idx.length !== interactions)
    return false;
  for (let row = 0; row < rows; row++) {
    let before = -1;
    for (let k = ptr[row]!; k < ptr[row + 1]!; k++) {
      if (idx[k]! <= before) return false;
      before = idx[k]!;
    }
    if (before >= cols || ptr[row + 1]! < ptr[row]!) return false;
  }
  if (values === undefined) return true;
  if (values.length !== interactions) return false;
  for (let k = 0; k < values.length; k++) {
    if (!(values[k]! >= 0 && values[k]! < Number.POSITIVE_INFINITY)) return false;
  }
  return true;
}

function toShared(bytes: Uint8Array): Uint8Array {
  // Arrow aligns arrays to 8 bytes from the file's start, so views need the file at the start of its buffer.
  if (bytes.buffer instanceof SharedArrayBuffer && bytes.byteOffset === 0) return bytes;
  const shared = sharedBytes(bytes.length);
  shared.set(bytes);
  return shared;
}

function otherName(side: Side): Side {
  return side === 'users' ? 'items' : 'users';
}
