/** The rows of a table at one clock, wherever they are. */
export interface RowSource {
  /** Of all rows. */
  readonly byteLength: number;
  /** Columns of a row. */
  readonly factors: number;
  /** All rows in order, whole rows at a time, from the first at every call. Pieces are valid until the next one. */
  read(): AsyncIterable<Float32Array>;
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
