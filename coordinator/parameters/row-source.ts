import { sharedFloat32 } from '../../common/shared-memory.js';

/** The rows of a table at one clock, wherever they are. */
export interface RowSource {
  /** Of all rows. */
  readonly byteLength: number;
  /** Columns of a row. */
  readonly factors: number;
  /** All rows in order, whole rows at a time, from the first at every call. Pieces are valid until the next one. */
  read(): AsyncIterable<Float32Array>;
}

/** All rows of a source in one array, in memory that threads share. Errors of its reading. */
export async function gatherRows(source: RowSource): Promise<Float32Array> {
  const rows = sharedFloat32(source.byteLength / 4);
  let at = 0;
  for await (const piece of source.read()) {
    rows.set(piece, at);
    at += piece.length;
  }
  return rows;
}

/** Rows of an array, which must not change while they are read. */
export function arraySource(rows: Float32Array, factors: number): RowSource {
  return {
    byteLength: rows.byteLength,
    factors,
    read: async function* () {
      yield rows;
    },
  };
}
