import { px } from './figure.js';
import { formatTicks } from './format.js';
import { type Markup, markup } from './markup.js';
import type { Scale } from './scale.js';

/** Where the plot lies within its drawing. */
export interface PlotBox {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Horizontal grid lines with their values at the left, and a title above them. */
export function verticalAxis(box: PlotBox, y: Scale, title: string): Markup {
  const names = formatTicks(y.ticks);
  const lines = y.ticks.map((tick, t) => {
    const at = px(y.at(tick));
    return markup`<line class="grid" x1="${box.left}" x2="${box.right}" y1="${at}" y2="${at}"/><text class="tick end" x="${box.left - 8}" y="${at + 4}">${names[t]}</text>`;
  });
  return markup`${lines}<text class="axis" x="${Math.max(box.left - 44, 0)}" y="${box.top - 14}">${title}</text>`;
}

/** Values below the plot, and a title at the right end beneath them. */
export function horizontalAxis(box: PlotBox, x: Scale, title: string): Markup {
  const names = formatTicks(x.ticks);
  const labels = x.ticks.map(
    (tick, t) =>
      markup`<text class="tick middle" x="${px(x.at(tick))}" y="${box.bottom + 18}">${names[t]}</text>`,
  );
  return markup`<line class="base" x1="${box.left}" x2="${box.right}" y1="${box.bottom}" y2="${box.bottom}"/>${labels}<text class="axis end" x="${box.right}" y="${box.bottom + 36}">${title}</text>`;
}
