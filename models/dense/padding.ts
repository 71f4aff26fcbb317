/** Tiles of the dense kernels are 4 wide: matrices are padded to it, so that no loop needs an edge case. */
const TILE = 4;

/** The row length of a matrix of `n` columns in the dense kernels: `n` rounded up to whole tiles. */
export function paddedLength(n: number): number {
  return Math.ceil(n / TILE) * TILE;
}
