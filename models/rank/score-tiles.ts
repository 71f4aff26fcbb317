// Inner products of queries and items. Both ways sum a product in f64 over the factors in their order and round it
// once, so they give the same bits.

/**
 * Transposes rows into a panel: column c of the panel is row `first + c`, in f64. Columns past `count` become zero.
 *
 * @param panel written, [factors, width].
 */
export function fillColumns(
  panel: Float64Array,
  width: number,
  rows: Float32Array,
  first: number,
  count: number,
  factors: number,
): void {
  if (count < width) panel.fill(0);
  for (let c = 0; c < count; c++) {
    const from = (first + c) * factors;
    for (let k = 0, at = c; k < factors; k++, at += width) panel[at] = rows[from + k]!;
  }
}

/**
 * Scores of a tile: tile[q, i] = query q · item i, for panels of `fillColumns`.
 *
 * @param tile written, [queryWidth, itemWidth] f32.
 */
export function scoreTiles(
  queries: Float64Array,
  queryWidth: number,
  queryCount: number,
  items: Float64Array,
  itemWidth: number,
  itemCount: number,
  factors: number,
  tile: Float32Array,
): void {
  const end = factors * itemWidth;
  for (let i = 0; i < itemCount; i += 4) {
    for (let q = 0; q < queryCount; q += 2) {
      let s00 = 0;
      let s01 = 0;
      let s10 = 0;
      let s11 = 0;
      let s20 = 0;
      let s21 = 0;
      let s30 = 0;
      let s31 = 0;
      for (let p = i, r = q; p < end; p += itemWidth, r += queryWidth) {
        const x0 = items[p]!;
        const x1 = items[p + 1]!;
        const x2 = items[p + 2]!;
        const x3 = items[p + 3]!;
        const y0 = queries[r]!;
        const y1 = queries[r + 1]!;
        s00 += x0 * y0;
        s10 += x1 * y0;
        s20 += x2 * y0;
        s30 += x3 * y0;
        s01 += x0 * y1;
        s11 += x1 * y1;
        s21 += x2 * y1;
        s31 += x3 * y1;
      }
      const o0 = q * itemWidth + i;
      const o1 = o0 + itemWidth;
      tile[o0] = s00;
      tile[o0 + 1] = s10;
      tile[o0 + 2] = s20;
      tile[o0 + 3] = s30;
      tile[o1] = s01;
      tile[o1 + 1] = s11;
      tile[o1 + 2] = s21;
      tile[o1 + 3] = s31;
    }
  }
}

/** As `scoreTiles`, straight from the tables: for a few queries. */
export function scoreFew(
  queries: Float32Array,
  firstQuery: number,
  queryCount: number,
  items: Float32Array,
  firstItem: number,
  itemCount: number,
  factors: number,
  tile: Float32Array,
  itemWidth: number,
): void {
  for (let q = 0; q < queryCount; q++) {
    const from = (firstQuery + q) * factors;
    let i = 0;
    for (; i + 3 < itemCount; i += 4) {
      const p0 = (firstItem + i) * factors;
      const p1 = p0 + factors;
      const p2 = p1 + factors;
      const p3 = p2 + factors;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let k = 0; k < factors; k++) {
        const y = queries[from + k]!;
        s0 += items[p0 + k]! * y;
        s1 += items[p1 + k]! * y;
        s2 += items[p2 + k]! * y;
        s3 += items[p3 + k]! * y;
      }
      const at = q * itemWidth + i;
      tile[at] = s0;
      tile[at + 1] = s1;
      tile[at + 2] = s2;
      tile[at + 3] = s3;
    }
    for (; i < itemCount; i++) {
      const p = (firstItem + i) * factors;
      let sum = 0;
      for (let k = 0; k < factors; k++) sum += items[p + k]! * queries[from + k]!;
      tile[q * itemWidth + i] = sum;
    }
  }
}
