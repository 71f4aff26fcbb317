// How skewed the data are: rows of each side by their number of interactions, both axes logarithmic.

import type { Side } from '../../models/csr.js';
import { horizontalAxis, type PlotBox, verticalAxis } from './axes.js';
import { type DegreeBin, degreeBins } from './degree-bins.js';
import { type ChartOptions, figure, px, svg } from './figure.js';
import { formatCount } from './format.js';
import { type Insert, type Markup, markup } from './markup.js';
import { logScale } from './scale.js';

export interface Degrees {
  users: Int32Array;
  items: Int32Array;
}

/** The figure, or nothing where there are no interactions. */
export function degreeChart(degrees: Degrees): Markup | undefined {
  const bins = { users: degreeBins(degrees.users), items: degreeBins(degrees.items) };
  if (bins.users.length === 0 || bins.items.length === 0) return undefined;
  return figure({
    id: 'degrees',
    title: 'Degree distributions',
    caption: markup`Interactions per user: median ${formatCount(median(degrees.users))}, most ${formatCount(most(degrees.users))}. Per item: median ${formatCount(median(degrees.items))}, most ${formatCount(most(degrees.items))}. Long right ends are what makes the work of blocks uneven.`,
    chart: (options) => twoPanels(bins, options),
    table: {
      head: ['Interactions', 'Users', 'Items'],
      rows: tableRows(bins.users, bins.items),
    },
  });
}

function twoPanels(bins: Record<Side, DegreeBin[]>, { width }: ChartOptions): Markup {
  const isNarrow = width < 500;
  const panelWidth = isNarrow ? width : (width - 40) / 2;
  const panelHeight = 270;
  const second = isNarrow ? `translate(0 ${panelHeight})` : `translate(${panelWidth + 40} 0)`;
  return svg({
    width,
    height: isNarrow ? 2 * panelHeight : panelHeight,
    label: 'Numbers of users and of items by their interactions, on logarithmic axes.',
    content: [
      panel(bins.users, 'users', panelWidth),
      markup`<g transform="${second}">${panel(bins.items, 'items', panelWidth)}</g>`,
    ],
  });
}

/** Bars from the bottom of a logarithmic axis, which is at one row. */
function panel(bins: DegreeBin[], side: Side, width: number): Insert {
  const box: PlotBox = { left: 48, right: width - 20, top: 34, bottom: 216 };
  const highest = Math.max(...bins.map((bin) => bin.rows));
  const x = logScale({ domain: [bins[0]!.low, bins.at(-1)!.high], range: [box.left, box.right] });
  // Half a row: a bin with a single row still has a bar.
  const y = logScale({ domain: [1, highest], range: [box.bottom - 8, box.top] });
  const bars = bins.map((bin) => {
    const left = x.at(bin.low);
    const top = y.at(bin.rows);
    const barWidth = Math.max(x.at(bin.high) - left - 2, 1);
    return markup`<rect class="${side}" x="${px(left + 1)}" y="${px(top)}" width="${px(barWidth)}" height="${px(box.bottom - top)}"><title>${range(bin)} interactions: ${formatCount(bin.rows)} ${side}</title></rect>`;
  });
  const title = side === 'users' ? 'Users' : 'Items';
  return [
    verticalAxis(box, y, title),
    bars,
    horizontalAxis(box, x, `Interactions per ${side === 'users' ? 'user' : 'item'}`),
  ];
}

function tableRows(users: DegreeBin[], items: DegreeBin[]): Insert[][] {
  const lows = [...new Set([...users, ...items].map((bin) => bin.low))].sort((a, b) => a - b);
  const count = (bins: DegreeBin[], low: number) =>
    formatCount(bins.find((bin) => bin.low === low)?.rows ?? 0);
  return lows.map((low) => {
    const bin = [...users, ...items].find((candidate) => candidate.low === low)!;
    return [range(bin), count(users, low), count(items, low)];
  });
}

function range({ low, high }: DegreeBin): string {
  return high === low + 1 ? formatCount(low) : `${formatCount(low)} to ${formatCount(high - 1)}`;
}

function median(degrees: Int32Array): number {
  const sorted = degrees.slice().sort();
  return sorted.length === 0 ? 0 : sorted[Math.floor((sorted.length - 1) / 2)]!;
}

function most(degrees: Int32Array): number {
  return degrees.reduce((max, degree) => Math.max(max, degree), 0);
}
