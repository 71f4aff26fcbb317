// How the entries of a row are cut into chunks, each of which one workgroup sums. The cut follows from the row's length
// alone: it decides the order of additions, and so the bits of the row.

/** Entries of a chunk: enough work for a workgroup, few enough that f32 sums stay good. */
const CHUNK = 1024;

/** More parts of a row cost more to add up than they gain; beyond, chunks get longer. */
export const PARTS_MAX = 64;

/** Entries of each chunk of a row of `entries`, but for the last, which is shorter. */
export function chunkLength(entries: number): number {
  return entries <= PARTS_MAX * CHUNK ? CHUNK : Math.ceil(entries / PARTS_MAX / CHUNK) * CHUNK;
}

export function chunksOf(entries: number): number {
  return Math.ceil(entries / chunkLength(entries));
}

/** Words of a `Chunk` in the kernels: begin, end, slot, row. */
export const CHUNK_WORDS = 4;

/**
 * Writes the chunks of entries `begin` to `end`.
 *
 * @param at the first chunk's place in `target`; @param slot of the first chunk.
 * @returns the number of chunks.
 */
export function writeChunks(
  target: Uint32Array,
  at: number,
  o: { begin: number; end: number; slot: number; row: number },
): number {
  const length = chunkLength(o.end - o.begin);
  let count = 0;
  for (let begin = o.begin; begin < o.end; begin += length, count++) {
    const place = (at + count) * CHUNK_WORDS;
    target[place] = begin;
    target[place + 1] = Math.min(begin + length, o.end);
    target[place + 2] = o.slot + count;
    target[place + 3] = o.row;
  }
  return count;
}
