// Recall against ε as a drawing of its own.

import { type PlotBox, verticalAxis } from '../../coordinator/report/axes.js';
import { px, svg } from '../../coordinator/report/figure.js';
import { Markup, markup } from '../../coordinator/report/markup.js';
import { REPORT_STYLE } from '../../coordinator/report/report-style.js';
import { linearScale } from '../../coordinator/report/scale.js';

export interface RecallSeries {
  name: string;
  /** In the order of the epsilons. */
  values: readonly { recall: number; halfWidth: number }[];
}

export interface RecallChartData {
  epsilons: readonly number[];
  series: readonly RecallSeries[];
  /** Horizontal lines. */
  references: readonly { name: string; recall: number }[];
}

const WIDTH = 760;
const HEIGHT = 440;
/** Series are told apart by colour and by dashes. */
const LOOKS = [
  { color: 'users', dashes: '' },
  { color: 'items', dashes: '' },
  { color: 'users', dashes: '7 4' },
  { color: 'items', dashes: '2 4' },
  { color: 'muted', dashes: '7 4' },
] as const;

/** An SVG file: stands alone, reads on a screen and on paper. */
export function recallChart({ epsilons, series, references }: RecallChartData): string {
  const box: PlotBox = { left: 60, right: WIDTH - 24, top: 44, bottom: HEIGHT - 60 - series.length * 20 };
  const all = [...references, ...series.flatMap(({ values }) => values)].map(({ recall }) => recall);
  const y = linearScale({ domain: [0, Math.max(...all) * 1.05], range: [box.bottom, box.top] });
  // ε doubles, roughly, from place to place, and ∞ is the last: places of equal distance.
  const x = (i: number) =>
    box.left + 40 + (i * (box.right - box.left - 80)) / Math.max(1, epsilons.length - 1);
  const names = epsilons.map((epsilon) => (epsilon === Number.POSITIVE_INFINITY ? '∞' : String(epsilon)));
  const spoken = series.map(
    ({ name, values }) =>
      `${name}: ${values.map(({ recall }, i) => `${names[i]}: ${recall.toFixed(3)}`).join(', ')}`,
  );
  const drawing = svg({
    width: WIDTH,
    height: HEIGHT,
    label: `Recall at 20 by ε. ${spoken.join('. ')}. ${references.map(({ name, recall }) => `${name} ${recall.toFixed(3)}`).join(', ')}.`,
    content: [
      new Markup(`<style>${REPORT_STYLE}</style>`),
      markup`<rect width="${WIDTH}" height="${HEIGHT}" style="fill: var(--surface)"/>`,
      verticalAxis(box, y, 'Recall@20'),
      markup`<line class="base" x1="${box.left}" x2="${box.right}" y1="${box.bottom}" y2="${box.bottom}"/>`,
      names.map(
        (name, i) => markup`<text class="tick middle" x="${px(x(i))}" y="${box.bottom + 18}">${name}</text>`,
      ),
      markup`<text class="axis end" x="${box.right}" y="${box.bottom + 36}">ε of the run at δ = 10⁻⁶</text>`,
      references.map(
        ({ name, recall }) =>
          markup`<line class="muted" stroke-dasharray="4 4" x1="${box.left}" x2="${box.right}" y1="${px(y.at(recall))}" y2="${px(y.at(recall))}"/><text class="tick" x="${box.left + 6}" y="${px(y.at(recall)) - 5}">${name} ${recall.toFixed(3)}</text>`,
      ),
      series.map((one, s) => line(one, s, x, y.at)),
      series.map(({ name }, s) => legendRow(name, s, box)),
    ],
  });
  return drawing.text.replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ');
}

function line(
  { name, values }: RecallSeries,
  s: number,
  x: (i: number) => number,
  y: (value: number) => number,
): Markup {
  const { color, dashes } = LOOKS[s % LOOKS.length]!;
  const points = values.map(({ recall }, i) => `${px(x(i))},${px(y(recall))}`).join(' ');
  const marks = values.map(({ recall, halfWidth }, i) => {
    const at = px(x(i));
    return markup`<g><title>${name}: ${recall.toFixed(4)} ± ${halfWidth.toFixed(4)}</title><line class="${color}" x1="${at}" x2="${at}" y1="${px(y(recall - halfWidth))}" y2="${px(y(recall + halfWidth))}"/><circle class="${color}" cx="${at}" cy="${px(y(recall))}" r="3.5"/></g>`;
  });
  return markup`<polyline style="fill: none; stroke: var(--${color}); stroke-width: 1.5" stroke-dasharray="${dashes}" points="${points}"/>${marks}`;
}

function legendRow(name: string, s: number, box: PlotBox): Markup {
  const { color, dashes } = LOOKS[s % LOOKS.length]!;
  const y = box.bottom + 54 + s * 20;
  return markup`<line style="stroke: var(--${color}); stroke-width: 1.5" stroke-dasharray="${dashes}" x1="${box.left}" x2="${box.left + 36}" y1="${y}" y2="${y}"/><circle class="${color}" cx="${box.left + 18}" cy="${y}" r="3.5"/><text class="tick" x="${box.left + 46}" y="${y + 4}">${name}</text>`;
}
