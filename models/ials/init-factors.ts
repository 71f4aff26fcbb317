import { createRandom } from '../../common/random.js';
import type { Side } from '../csr.js';

/** Streams above 2^32 are ours alone: a caller's small stream numbers never meet the initial factors. */
const STREAM: Record<Side, number> = { users: 2 ** 32 + 1, items: 2 ** 32 + 2 };

/**
 * Fills rows of a side with their initial factors, N(0, σ*²/K) each.
 *
 * @param out written, [rowEnd − rowStart, factors] f32.
 * @param o   `seed` 0 to 2^53 − 1; `rowStart` (in) and `rowEnd` (out) are rows of the side; `stdDev` is σ*, > 0.
 *
 * A row's factors depend on (seed, side, row) only, never on the range it was made with.
 * Source: Rendle, Krichene, Zhang, Koren, "Revisiting the Performance of iALS on Item Recommendation Benchmarks",
 * RecSys 2022, on scaling the initial factors by 1/√K.
 */
export function initFactors(
  out: Float32Array,
  o: { seed: number; side: Side; rowStart: number; rowEnd: number; factors: number; stdDev: number },
): void {
  const random = createRandom(o.seed, STREAM[o.side]);
  const scale = o.stdDev / Math.sqrt(o.factors);
  let at = 0;
  for (let row = o.rowStart; row < o.rowEnd; row++) {
    random.seekRow(row);
    for (let k = 0; k < o.factors; k++) out[at++] = scale * random.normal();
  }
}
