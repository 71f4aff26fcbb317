/** Towards one of the points the method is slow: whether it is the median is looked at in the end. */
const STEPS_MAX = 60;
/** A step that moves the median by less than this part of its norm is the last. */
const PRECISION = 1e-9;
/** Distances are taken as at least this part of the largest, so that a point under the median does not divide by zero. */
const SMOOTHING = 1e-6;

/**
 * The point with the least sum of weighted distances to the points: it stays where it is, whatever points with less
 * than half of the weight say. A mean of the points with positive weights, so that a median of positive semi-definite
 * matrices is one.
 *
 * @param points  of equal length, at least one.
 * @param weights > 0, one for each.
 *
 * Source: Weiszfeld 1937, smoothed as in Pillutla, Kakade, Harchaoui 2022, algorithm 2.
 */
export function geometricMedian(points: readonly Float64Array[], weights: readonly number[]): Float64Array {
  let median = weightedMean(points, weights);
  for (let step = 0; step < STEPS_MAX; step++) {
    const distances = points.map((point) => distanceOf(point, median));
    const least = SMOOTHING * Math.max(...distances);
    if (least === 0) return median;
    const next = weightedMean(
      points,
      weights.map((weight, p) => weight / Math.max(distances[p]!, least)),
    );
    const moved = distanceOf(next, median);
    median = next;
    if (moved <= PRECISION * distanceOf(median, new Float64Array(median.length))) break;
  }
  return leastOf([median, ...points], points, weights);
}

/** The candidate with the least sum of weighted distances to the points; the first of equals. */
function leastOf(
  candidates: readonly Float64Array[],
  points: readonly Float64Array[],
  weights: readonly number[],
): Float64Array {
  const costs = candidates.map((candidate) =>
    points.reduce((sum, point, p) => sum + weights[p]! * distanceOf(point, candidate), 0),
  );
  return candidates[costs.indexOf(Math.min(...costs))]!.slice();
}

function weightedMean(points: readonly Float64Array[], weights: readonly number[]): Float64Array {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const mean = new Float64Array(points[0]!.length);
  for (const [p, point] of points.entries()) {
    const share = weights[p]! / total;
    for (let k = 0; k < mean.length; k++) mean[k] = mean[k]! + share * point[k]!;
  }
  return mean;
}

function distanceOf(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += (a[k]! - b[k]!) ** 2;
  return Math.sqrt(sum);
}
