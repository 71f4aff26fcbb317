/** Rows of a side by their number of interactions, in a bin from `low` (in) to `high` (out). */
export interface DegreeBin {
  low: number;
  high: number;
  rows: number;
}

/** Bins of a factor of ten. */
const BINS_PER_DECADE = 5;

/**
 * Counts rows by degree in bins that are equally wide on a logarithmic scale (whole numbers at the low end).
 * Empty rows are left out; bins without rows too.
 */
export function degreeBins(degrees: Int32Array): DegreeBin[] {
  const edges: number[] = [1];
  const highest = degrees.reduce((most, degree) => Math.max(most, degree), 0);
  for (let e = 1; edges.at(-1)! <= highest; e++) {
    const edge = Math.ceil(10 ** (e / BINS_PER_DECADE) - 1e-9);
    if (edge > edges.at(-1)!) edges.push(edge);
  }
  const rows = new Int32Array(edges.length);
  for (const degree of degrees) {
    if (degree > 0) rows[edges.findLastIndex((edge) => edge <= degree)]! += 1;
  }
  return edges
    .slice(0, -1)
    .map((low, e) => ({ low, high: edges[e + 1]!, rows: rows[e]! }))
    .filter((bin) => bin.rows > 0);
}
