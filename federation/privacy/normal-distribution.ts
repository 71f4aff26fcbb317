// The normal distribution's tail, with its relative precision kept where privacy needs it: far out.

/** Below this the series of erf converges in few terms and loses at most 4 digits to 1 − erf; above it the fraction does. */
const SERIES_MAX = 2.5;
/** Terms of the series at `SERIES_MAX`, where each is x²/(n + ½) of the one before: the 60th is below 2^−53. */
const SERIES_TERMS = 60;
/** Depth of the continued fraction: enough for 2^−53 at `SERIES_MAX`, more than enough beyond. */
const FRACTION_DEPTH = 120;
const ROOT_PI = Math.sqrt(Math.PI);

/**
 * Φ(x): the probability that a standard normal is at most x. Relative error below 1e-12 for x > −37, 0 below −38.6.
 */
export function normalCdf(x: number): number {
  const z = Math.abs(x) * Math.SQRT1_2;
  const tail = 0.5 * Math.exp(-z * z) * scaledErfc(z);
  return x > 0 ? 1 - tail : tail;
}

/**
 * erfcx(z) = exp(z²)·erfc(z) for z >= 0: the tail without its exponential, between 1 and 0, about 1/(z√π) far out.
 *
 * Source: Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.6 (series) and 7.1.14 (continued fraction).
 */
export function scaledErfc(z: number): number {
  if (z < SERIES_MAX) return Math.exp(z * z) - erfSeries(z);
  let fraction = z;
  for (let n = FRACTION_DEPTH; n >= 1; n--) fraction = z + n / 2 / fraction;
  return 1 / (ROOT_PI * fraction);
}

/** exp(z²)·erf(z) = 2/√π · Σ 2ⁿ z^(2n+1) / (1·3·…·(2n+1)): all terms positive, so none cancels another. */
function erfSeries(z: number): number {
  let term = z;
  let sum = z;
  for (let n = 1; n <= SERIES_TERMS; n++) {
    term *= (z * z) / (n + 0.5);
    sum += term;
  }
  return (2 / ROOT_PI) * sum;
}
