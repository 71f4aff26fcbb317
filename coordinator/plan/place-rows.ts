// Which parameter process has which rows. Pure.

import type { Side } from '../../models/csr.js';
import { type PlacedWorker, placeShard } from './placement.js';

/**
 * Parts that a side is cut into at most: enough that processes of equal weight get nearly equal shares, few enough that
 * a read of a whole table is a handful of ranges. It does not depend on how many processes there are, so that one more
 * or one less moves only what it must.
 */
const PARTS_MAX = 128;

export interface PlacedRows {
  readonly rowStart: number;
  readonly rowEnd: number;
  /** Index of the process. */
  readonly holder: number;
}

/**
 * Places the rows of a side by rendezvous hashing, part by part. A part is whole blocks where the side has blocks, so
 * that every block lies in one place.
 *
 * @param blockStarts first row of every block, ascending from 0; empty: any row may begin a part.
 * @param holders at least one.
 * @returns ascending, covering all rows; neighbours are in different places.
 */
export function placeRows(
  side: Side,
  rows: number,
  blockStarts: readonly number[],
  holders: readonly PlacedWorker[],
): PlacedRows[] {
  const placed: { rowStart: number; rowEnd: number; holder: number }[] = [];
  const candidates = holders.map(({ key, weight }, holder) => ({ key, weight, holder }));
  partStarts(rows, blockStarts).forEach((rowStart, part, starts) => {
    const rowEnd = starts[part + 1] ?? rows;
    const { holder } = placeShard(side, part, candidates)!;
    const last = placed.at(-1);
    if (last?.holder === holder) last.rowEnd = rowEnd;
    else placed.push({ rowStart, rowEnd, holder });
  });
  return placed;
}

function partStarts(rows: number, blockStarts: readonly number[]): number[] {
  const least = Math.max(1, Math.ceil(rows / PARTS_MAX));
  if (blockStarts.length === 0) {
    return Array.from({ length: Math.ceil(rows / least) }, (_, part) => part * least);
  }
  const starts: number[] = [];
  for (const start of blockStarts) {
    if (starts.length === 0 || start - starts.at(-1)! >= least) starts.push(start);
  }
  return starts;
}
