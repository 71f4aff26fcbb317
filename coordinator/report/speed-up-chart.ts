// How much faster a run gets with more workers, as a drawing of its own.

import type { Bottleneck, FleetEstimate } from '../plan/simulate-fleet.js';
import { horizontalAxis, type PlotBox, verticalAxis } from './axes.js';
import { px, svg } from './figure.js';
import { formatNumber, formatSeconds } from './format.js';
import { Markup, markup } from './markup.js';
import { REPORT_STYLE } from './report-style.js';
import { exactScale, linearScale } from './scale.js';

export interface SpeedUpData {
  /** Ascending by workers, at least one. */
  estimates: readonly FleetEstimate[];
  recommended: number;
}

/** What limits a fleet, in words. */
export const BOTTLENECK_WORDS: Readonly<Record<Bottleneck, string>> = {
  compute: 'computing',
  cores: 'cores of the machine',
  coordinator: 'coordinator',
  parameters: 'parameter processes',
  network: 'link to the rows',
  tail: 'tail and barrier',
  blocks: 'too few blocks',
};

const WIDTH = 760;
const HEIGHT = 420;

/** An SVG file: stands alone, reads on a screen and on paper. */
export function speedUpChart({ estimates, recommended }: SpeedUpData): string {
  const box: PlotBox = { left: 56, right: WIDTH - 24, top: 44, bottom: HEIGHT - 56 };
  const last = estimates.at(-1)!.workers;
  const highest = Math.max(...estimates.map(({ speedup }) => speedup));
  const y = linearScale({ domain: [0, Math.max(1, highest * 1.15)], range: [box.bottom, box.top] });
  const x = exactScale({ domain: [Math.min(1, last - 1), last], range: [box.left + 8, box.right], ticks: 8 });
  const whole = { ...x, ticks: x.ticks.filter((tick) => Number.isInteger(tick) && tick > 0) };
  // The line of T / N leaves the drawing where it is above the plot.
  const top = y.ticks.at(-1)!;
  const ideal = Math.min(last, top);
  const points = estimates.map(({ workers, speedup }) => `${px(x.at(workers))},${px(y.at(speedup))}`);
  const marks = estimates.map((estimate) =>
    mark(estimate, px(x.at(estimate.workers)), px(y.at(estimate.speedup))),
  );
  const chosen = estimates.find(({ workers }) => workers === recommended)!;
  const at = { x: px(x.at(recommended)), y: px(y.at(chosen.speedup)) };
  const drawing = svg({
    width: WIDTH,
    height: HEIGHT,
    label: `Speed-up by workers: ${estimates.map((e) => `${e.workers}: ${formatNumber(e.speedup)}`).join(', ')}. Recommended: ${recommended}.`,
    content: [
      new Markup(`<style>${REPORT_STYLE}</style>`),
      markup`<rect width="${WIDTH}" height="${HEIGHT}" style="fill: var(--surface)"/>`,
      verticalAxis(box, y, 'Speed-up against one worker'),
      horizontalAxis(box, whole, 'Workers'),
      markup`<line class="muted" stroke-dasharray="4 4" x1="${px(x.at(1))}" y1="${px(y.at(1))}" x2="${px(x.at(ideal))}" y2="${px(y.at(ideal))}"/>`,
      markup`<polyline class="curve" points="${points.join(' ')}"/>`,
      marks,
      markup`<line class="users" stroke-dasharray="2 3" x1="${at.x}" x2="${at.x}" y1="${at.y}" y2="${box.bottom}"/>`,
      markup`<text class="label end" x="${box.right}" y="20">recommended: ${recommended}; dashed: T / N</text>`,
    ],
  });
  return drawing.text.replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ');
}

function mark(
  { workers, speedup, secondsPerEpoch, bottleneck }: FleetEstimate,
  x: number,
  y: number,
): Markup {
  const title = `${workers} workers: ${formatNumber(speedup)} times, ${formatSeconds(secondsPerEpoch)} an epoch; ${BOTTLENECK_WORDS[bottleneck]}`;
  return markup`<circle class="users" cx="${x}" cy="${y}" r="3.5"><title>${title}</title></circle>`;
}
