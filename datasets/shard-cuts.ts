// Cuts the rows of a side into shards of about equal work, so that they can be placed on workers.

/** K at which work is estimated here: shards are cut before anyone has chosen factors. */
const FACTORS_NOMINAL = 64;
/** Fewer shards would leave workers idle; as a block lies within a shard, more would make blocks of small data smaller. */
const SHARDS_MIN = 6;
/** A shard of this size is some ten megabytes: quick to send, and no less than a block of a fast device. */
const SHARD_INTERACTIONS = 1_000_000;

export interface RowRange {
  /** Inclusive. */
  rowStart: number;
  /** Exclusive. */
  rowEnd: number;
}

/**
 * Contiguous row ranges of about equal work, where a row costs entries·K² + K³/3 flops at a nominal K = 64.
 *
 * @param ptr CSR row pointers, [rows + 1].
 * @returns at least 6 ranges and about one for every million entries; never more than there are rows.
 */
export function cutShards(ptr: Int32Array): RowRange[] {
  const rows = ptr.length - 1;
  const shards = Math.min(rows, Math.max(SHARDS_MIN, Math.round(ptr[rows]! / SHARD_INTERACTIONS)));
  const perRow = FACTORS_NOMINAL / 3;
  const workTotal = ptr[rows]! + perRow * rows;
  const ranges: RowRange[] = [];
  let rowStart = 0;
  for (let shard = 0; shard < shards; shard++) {
    const workEnd = (workTotal * (shard + 1)) / shards;
    const rowEndMax = rows - (shards - shard - 1);
    let rowEnd = rowStart + 1;
    // The row on the border goes to the side where most of it lies.
    while (rowEnd < rowEndMax && (ptr[rowEnd]! + ptr[rowEnd + 1]!) / 2 + perRow * (rowEnd + 0.5) <= workEnd)
      rowEnd++;
    if (shard === shards - 1) rowEnd = rows;
    ranges.push({ rowStart, rowEnd });
    rowStart = rowEnd;
  }
  return ranges;
}
