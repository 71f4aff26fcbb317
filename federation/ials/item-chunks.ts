/** Items whose sums travel and are added up together: `itemStart` (in) to `itemEnd` (out). */
export interface ItemChunk {
  readonly itemStart: number;
  readonly itemEnd: number;
}

/**
 * Numbers of a chunk when nobody asks for another size: 2 MiB of f64, a few messages of a stream. Ten times more would
 * show in the memory of a server that adds up a hundred participants; ten times less, in its messages.
 */
export const CHUNK_NUMBERS = 1 << 18;

/**
 * Cuts the items of an exchange into chunks of at most `numbersMax` numbers, and of one item at least. All participants
 * and the server cut alike, so that a chunk is known by its place.
 *
 * @param o `perItem`: see `numbersPerItem`.
 */
export function itemChunks(o: { items: number; perItem: number; numbersMax?: number }): ItemChunk[] {
  const step = Math.max(1, Math.floor((o.numbersMax ?? CHUNK_NUMBERS) / o.perItem));
  const chunks: ItemChunk[] = [];
  for (let itemStart = 0; itemStart < o.items; itemStart += step) {
    chunks.push({ itemStart, itemEnd: Math.min(itemStart + step, o.items) });
  }
  return chunks;
}
