// Looks for numbers that are not finite, before a provider may turn them into ordinary ones.

/** Whether all values are finite. */
export function isFinite32(values: Float32Array): boolean {
  let zero = 0;
  for (let i = 0; i < values.length; i++) zero += values[i]! * 0;
  return zero === 0;
}

/** The rows of a table [rows, factors] that hold a number that is not finite. */
export function rowsNotFinite(data: Float32Array, rows: number, factors: number): ReadonlySet<number> {
  const bad = new Set<number>();
  for (let row = 0; row < rows; row++) {
    if (!isFinite32(data.subarray(row * factors, (row + 1) * factors))) bad.add(row);
  }
  return bad;
}
