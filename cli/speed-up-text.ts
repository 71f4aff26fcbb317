import type { FleetEstimate } from '../coordinator/plan/simulate-fleet.js';
import { BOTTLENECK_WORDS } from '../coordinator/report/speed-up-chart.js';
import { duration } from './quantities.js';
import { textTable } from './text-table.js';

/** More lines than these are not read; some are left out then. */
const LINES_MAX = 16;
const BAR_WIDTH = 20;

/** Speed-up by workers as bars, with what limits each number; `T / N` beside it. */
export function speedUpText(
  estimates: readonly FleetEstimate[],
  recommended: number,
  options: { width: number; secondsAlone: number },
): string {
  const highest = Math.max(...estimates.map(({ speedup }) => speedup));
  const rows = thinned(estimates, recommended).map((estimate) => [
    `${estimate.workers === recommended ? '→ ' : ''}${estimate.workers}`,
    duration(estimate.secondsPerEpoch),
    duration(options.secondsAlone / estimate.workers),
    estimate.speedup.toFixed(2),
    '█'.repeat(Math.max(1, Math.round((BAR_WIDTH * estimate.speedup) / highest))),
    BOTTLENECK_WORDS[estimate.bottleneck],
  ]);
  const header = ['workers', 'an epoch', 'T / N', 'speed-up', '', 'limited by'];
  return textTable(rows, { header, width: options.width, indent: '  ' });
}

/** Powers of two and those half-way between, the ends, and what is recommended. */
function thinned(estimates: readonly FleetEstimate[], recommended: number): FleetEstimate[] {
  if (estimates.length <= LINES_MAX) return [...estimates];
  return estimates.filter(({ workers }, i) => {
    const power = 2 ** Math.floor(Math.log2(workers));
    const isRound = workers === power || workers === 1.5 * power;
    return isRound || workers === recommended || i === 0 || i === estimates.length - 1;
  });
}
