// The frame around every chart: a title, what it shows in a sentence, the drawing, and its numbers as a table.

import { type Insert, type Markup, markup } from './markup.js';

/** Widths at which charts are drawn: the wide one for screens and paper, the narrow one for telephones. */
export const CHART_WIDTHS = { wide: 1000, narrow: 340 } as const;

export interface ChartOptions {
  /** Width of the drawing in its own units, which are CSS pixels at full size. */
  width: number;
}

export interface FigureOptions {
  /** Unique within the page; letters and hyphens. */
  id: string;
  title: string;
  /** What the reader should see, one or two sentences. */
  caption: Insert;
  /** Shown above the drawing. */
  legend?: Insert;
  /** Draws at a width; called once for each of `CHART_WIDTHS`. */
  chart: (options: ChartOptions) => Insert;
  table: TableOptions;
}

export interface TableOptions {
  head: readonly string[];
  rows: readonly (readonly Insert[])[];
}

export function figure({ id, title, caption, legend, chart, table }: FigureOptions): Markup {
  return markup`<figure aria-labelledby="${id}">
<h2 id="${id}">${title}</h2>
<p class="caption">${caption}</p>
${legend !== undefined && markup`<p class="legend" aria-hidden="true">${legend}</p>`}
<div class="chart wide">${chart({ width: CHART_WIDTHS.wide })}</div>
<div class="chart narrow">${chart({ width: CHART_WIDTHS.narrow })}</div>
<details><summary>The numbers</summary>${dataTable(table)}</details>
</figure>`;
}

/** A table whose first column names the rows; wide ones scroll. */
export function dataTable({ head, rows }: TableOptions): Markup {
  const body = rows.map(
    ([first, ...cells]) =>
      markup`<tr><th scope="row">${first}</th>${cells.map((cell) => markup`<td>${cell}</td>`)}</tr>`,
  );
  return markup`<div class="scroll"><table>
<thead><tr>${head.map((name) => markup`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${body}</tbody>
</table></div>`;
}

export interface SvgOptions {
  width: number;
  height: number;
  /** What a screen reader says for the drawing. */
  label: string;
  content: Insert;
}

/** A drawing that shrinks with its column and never grows beyond its own size. */
export function svg({ width, height, label, content }: SvgOptions): Markup {
  return markup`<svg role="img" aria-label="${label}" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">${content}</svg>`;
}

/** One entry of a legend. */
export function legendKey(className: string, text: string): Markup {
  return markup`<span class="key"><svg aria-hidden="true" viewBox="0 0 12 12" width="12" height="12"><rect class="${className}" width="12" height="12" rx="2"/></svg> ${text}</span> `;
}

/** A coordinate, to a tenth of a pixel. */
export function px(value: number): number {
  return Math.round(value * 10) / 10;
}
