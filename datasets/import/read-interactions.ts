// Streams one file out of DuckDB into the interaction table, in file order.

import type { DuckDBDataChunk } from '@duckdb/node-api';
import { explainDisk } from '../../common/atomic-files.js';
import { DataError, messageOf, StoaError } from '../../common/errors.js';
import type { InteractionTable } from '../csr/interaction-table.js';
import { BAD_REASONS, BadRowNotes, ID_BYTES_MAX, type RejectTables } from './bad-rows.js';
import { doubles, stringWords } from './chunk-columns.js';
import type { DuckdbSession } from './duckdb-session.js';
import type { FileShape } from './file-shape.js';
import type { IdSink } from './id-sink.js';
import { type ScanPlan, scanQuery } from './scan-query.js';

export interface ReadTarget {
  table: InteractionTable;
  users: IdSink;
  items: IdSink;
}

/** Greatest f32. */
const VALUE_MAX = 3.4028234663852886e38;

/**
 * Reads a file to its end.
 *
 * @param onRows called now and then with the rows read so far, bad ones included.
 * @returns the rows that DuckDB delivered but that cannot be used.
 * @throws {DataError} `STOA_DATA_FILE`: the file as a whole cannot be read.
 */
export async function readInteractions(
  session: DuckdbSession,
  shape: FileShape,
  plan: ScanPlan,
  target: ReadTarget,
  rejects: RejectTables,
  onRows: (rows: number) => void,
): Promise<BadRowNotes> {
  const notes = new BadRowNotes();
  let rows = 0;
  try {
    const result = await session.connection.stream(scanQuery(shape, plan, rejects));
    let next = result.fetchChunk();
    for (;;) {
      const chunk = await next;
      if (chunk === null || chunk.rowCount === 0) break;
      // DuckDB fills the next chunk on its threads while this one is taken in.
      next = result.fetchChunk();
      await takeChunk(chunk, plan, target, notes, rows);
      rows += chunk.rowCount;
      onRows(rows);
    }
  } catch (error) {
    throw explainRead(error, shape);
  }
  return notes;
}

/** A chunk's columns, without nulls; see scan-query.ts. */
interface ChunkColumns {
  rows: number;
  users: Int32Array[];
  items: Int32Array[];
  values?: Float64Array;
  times?: Float64Array;
}

async function takeChunk(
  chunk: DuckDBDataChunk,
  plan: ScanPlan,
  target: ReadTarget,
  notes: BadRowNotes,
  firstOrdinal: number,
): Promise<void> {
  const all = columnsOf(chunk, plan);
  const reasons = new Uint8Array(all.rows);
  const bad = findBadRows(all, reasons);
  const userText = (row: number) => String(chunk.getColumnVector(0).getItem(row));
  const itemText = (row: number) => String(chunk.getColumnVector(1 + plan.userPieces).getItem(row));
  if (bad === 0) {
    await append(all, target, userText, itemText);
    return;
  }
  const kept: number[] = [];
  for (let row = 0; row < all.rows; row++) {
    if (reasons[row] === 0) kept.push(row);
    else notes.add(firstOrdinal + row, BAD_REASONS[reasons[row]! - 1]!);
  }
  await append(
    pick(all, kept),
    target,
    (row) => userText(kept[row]!),
    (row) => itemText(kept[row]!),
  );
}

function columnsOf(chunk: DuckDBDataChunk, plan: ScanPlan): ChunkColumns {
  const words = (first: number, pieces: number) =>
    Array.from({ length: 1 + pieces }, (_, piece) => stringWords(chunk, first + piece));
  const itemColumn = 1 + plan.userPieces;
  let column = itemColumn + 1 + plan.itemPieces;
  return {
    rows: chunk.rowCount,
    users: words(0, plan.userPieces),
    items: words(itemColumn, plan.itemPieces),
    values: plan.columns.value === undefined ? undefined : doubles(chunk, column++),
    times: plan.columns.time === undefined ? undefined : doubles(chunk, column),
  };
}

/** Marks each bad row with 1 + the index of its reason. @returns how many there are. */
function findBadRows({ rows, users, items, values, times }: ChunkColumns, reasons: Uint8Array): number {
  const userWords = users[0]!;
  const itemWords = items[0]!;
  let bad = 0;
  for (let row = 0; row < rows; row++) {
    const userBytes = userWords[row * 4]!;
    const itemBytes = itemWords[row * 4]!;
    let reason = 0;
    if (userBytes === 0) reason = 1;
    else if (userBytes > ID_BYTES_MAX) reason = 2;
    else if (itemBytes === 0) reason = 3;
    else if (itemBytes > ID_BYTES_MAX) reason = 4;
    else if (values !== undefined && !(values[row]! >= 0 && values[row]! <= VALUE_MAX)) {
      reason = Number.isNaN(values[row]) ? 5 : values[row]! < 0 ? 6 : 7;
    } else if (times !== undefined && !Number.isFinite(times[row])) reason = 8;
    if (reason !== 0) {
      reasons[row] = reason;
      bad++;
    }
  }
  return bad;
}

async function append(
  columns: ChunkColumns,
  { table, users, items }: ReadTarget,
  userText: (row: number) => string,
  itemText: (row: number) => string,
): Promise<void> {
  const { rows } = columns;
  if (!table.hasRoomFor(rows)) {
    // Numbers are still being written to the columns that are about to be replaced.
    await Promise.all([users.drain(), items.drain()]);
    table.reserve(rows);
  }
  if (columns.values !== undefined) table.values!.set(columns.values, table.length);
  if (columns.times !== undefined) table.writeTimes(columns.times);
  const usersBusy = users.append(columns.users, rows, table.users, table.length, userText);
  const itemsBusy = items.append(columns.items, rows, table.items, table.length, itemText);
  table.length += rows;
  if (usersBusy !== undefined) await usersBusy;
  if (itemsBusy !== undefined) await itemsBusy;
}

function pick({ users, items, values, times }: ChunkColumns, rows: readonly number[]): ChunkColumns {
  const words = (column: Int32Array) => {
    const picked = new Int32Array(rows.length * 4);
    rows.forEach((row, at) => {
      picked.set(column.subarray(row * 4, row * 4 + 4), at * 4);
    });
    return picked;
  };
  return {
    rows: rows.length,
    users: users.map(words),
    items: items.map(words),
    values: values === undefined ? undefined : Float64Array.from(rows, (row) => values[row]!),
    times: times === undefined ? undefined : Float64Array.from(rows, (row) => times[row]!),
  };
}

function explainRead(error: unknown, { file }: FileShape): unknown {
  const explained = explainDisk(error, file.name);
  if (explained instanceof StoaError) return explained;
  const text = messageOf(error);
  const what = /state machine reached an invalid state/i.test(text)
    ? 'mixes line ends (LF and CRLF); make them one, for example with dos2unix'
    : /gzip|Inflate|decompress/i.test(text)
      ? 'is not a gzip file, was cut off or damaged; compress it again'
      : /Out of Memory/i.test(text)
        ? 'needs more memory to be read; give more with --memory-mb'
        : `cannot be read: ${text.split('\n')[0]}`;
  return new DataError('STOA_DATA_FILE', `${file.name} ${what}`, {
    fields: { file: file.path },
    cause: error,
  });
}
