/** Writes where a row starts: K numbers of `prior` from `priorAt`, or zeros; padding is zero. */
export function loadPrior(
  solution: Float64Array,
  factors: number,
  prior: Float32Array | undefined,
  priorAt: number,
): void {
  solution.fill(0);
  if (prior === undefined) return;
  for (let k = 0; k < factors; k++) solution[k] = prior[priorAt + k]!;
}
