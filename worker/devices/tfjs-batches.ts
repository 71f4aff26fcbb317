// Rows of a CSR, put into batches that one tensor operation can take: rows of about the same length together, each
// padded to the next power of two, long ones laid out in fixed chunks.

import type { Csr } from '../../models/csr.js';

/**
 * Entries that are summed by one product. Longer rows are summed chunk by chunk, and the chunks' sums added: in f32 a
 * sum of 512 terms keeps its error near 1e-7, and the split depends on nothing but the row's length.
 */
export const CHUNK_ENTRIES = 512;

/** Shorter rows are padded to this length: a batch for each of 1, 2 and 4 would cost more than the padding. */
const WIDTH_MIN = 4;

/** Rows that are solved together. */
export interface RowBatch {
  /** Rows of the CSR, ascending. */
  readonly rows: Int32Array;
  /** Entries of each row, padding included: a power of two. */
  readonly width: number;
}

/** Entries that a row of `entries` takes when padded. */
export function paddedWidth(entries: number): number {
  return entries <= WIDTH_MIN ? WIDTH_MIN : 2 ** (32 - Math.clz32(entries - 1));
}

/**
 * Puts rows that have entries into batches.
 *
 * @param rows        the rows that count, ascending.
 * @param rowsPerStep how many rows of a width one batch may have, >= 1.
 */
export function batchRows(
  csr: Csr,
  rows: Iterable<number>,
  rowsPerStep: (width: number) => number,
): RowBatch[] {
  const byWidth = new Map<number, number[]>();
  for (const row of rows) {
    const entries = csr.ptr[row + 1]! - csr.ptr[row]!;
    if (entries === 0) continue;
    const width = paddedWidth(entries);
    const bucket = byWidth.get(width);
    if (bucket === undefined) byWidth.set(width, [row]);
    else bucket.push(row);
  }
  const batches: RowBatch[] = [];
  for (const [width, bucket] of [...byWidth].sort(([a], [b]) => a - b)) {
    const step = Math.max(1, Math.floor(rowsPerStep(width)));
    for (let start = 0; start < bucket.length; start += step) {
      batches.push({ rows: Int32Array.from(bucket.slice(start, start + step)), width });
    }
  }
  return batches;
}

/** A batch's entries as they are uploaded. */
export interface PaddedEntries {
  /** [rows, width]: columns; padding is the column `csr.cols`, which stands for a row of zeros. */
  readonly idx: Int32Array;
  /** [rows, width]: weights, 0 on padding; absent when all entries weigh the same. */
  readonly weights?: Float32Array;
}

/**
 * Lays out a batch's entries. All of a row's columns must be rows of the fixed side: the caller has checked them.
 *
 * @param weights one for each entry of the CSR, or one number for all.
 */
export function padEntries(csr: Csr, batch: RowBatch, weights: Float64Array | number): PaddedEntries {
  const { rows, width } = batch;
  const idx = new Int32Array(rows.length * width).fill(csr.cols);
  const padded = typeof weights === 'number' ? undefined : new Float32Array(rows.length * width);
  for (let b = 0; b < rows.length; b++) {
    const from = csr.ptr[rows[b]!]!;
    const to = csr.ptr[rows[b]! + 1]!;
    idx.set(csr.idx.subarray(from, to), b * width);
    if (padded !== undefined) padded.set((weights as Float64Array).subarray(from, to), b * width);
  }
  return { idx, weights: padded };
}
