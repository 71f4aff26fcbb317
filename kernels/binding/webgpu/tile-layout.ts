// The layout that gram.wgsl and solve-rows.wgsl share: a symmetric matrix as the lower triangle of 4×4 tiles.

/** What the sizes of the kernels follow from, for `columns` columns. */
export interface TileSizes {
  /** Tiles of 4 columns. */
  readonly tiles: number;
  /** Tiles of the lower triangle. */
  readonly tileCount: number;
  /** Numbers in a slot: the triangle's tiles, then a vector. */
  readonly slotLength: number;
}

export function tileSizes(columns: number): TileSizes {
  const tiles = Math.ceil(columns / 4);
  const tileCount = (tiles * (tiles + 1)) / 2;
  return { tiles, tileCount, slotLength: 16 * tileCount + 4 * tiles };
}

/** Place of entry (r, c), r >= c, in a slot: tiles by rows of tiles, the columns of a tile one after the other. */
export function tilePlace(r: number, c: number): number {
  const i = r >> 2;
  const j = c >> 2;
  return 16 * ((i * (i + 1)) / 2 + j) + 4 * (c & 3) + (r & 3);
}
