export interface SortedIds {
  /** Row → id. */
  sorted: string[];
  /** Provisional number → row, over a SharedArrayBuffer. */
  rowOf: Int32Array;
}

/**
 * Orders ids by their UTF-8 bytes.
 *
 * @param ids by provisional number, distinct.
 */
export function sortIds(ids: readonly string[]): SortedIds {
  // JavaScript orders by UTF-16 units, which differs from UTF-8 only where there are surrogates.
  const hasSurrogates = ids.some((id) => /[\ud800-\udfff]/.test(id));
  const sorted = hasSurrogates
    ? [...ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    : [...ids].sort();
  const rows = new Map(sorted.map((id, row) => [id, row]));
  const rowOf = new Int32Array(new SharedArrayBuffer(ids.length * 4));
  ids.forEach((id, number) => {
    rowOf[number] = rows.get(id)!;
  });
  return { sorted, rowOf };
}
