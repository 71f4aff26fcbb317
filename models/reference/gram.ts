/** FᵀF in f64, entry by entry: [factors, factors]. @param rows [n, factors] row-major. */
export function referenceGram(rows: ArrayLike<number>, n: number, factors: number): Float64Array {
  const gram = new Float64Array(factors * factors);
  for (let r = 0; r < factors; r++) {
    for (let c = 0; c < factors; c++) {
      let sum = 0;
      for (let row = 0; row < n; row++) sum += rows[row * factors + r]! * rows[row * factors + c]!;
      gram[r * factors + c] = sum;
    }
  }
  return gram;
}
