import type { DatasetDescription, DegreeSummary, Quantiles, TimeSpan } from './describe.js';

const BAR_MAX = 40;
const LABEL_WIDTH = 15;

/** A description for the terminal, with histograms of bars. @param width columns of the terminal. */
export function formatDescription(d: DatasetDescription, width: number): string {
  const row = (label: string, text: string): string => labelled(label, text, width);
  const lines = [
    `${d.dataset}${d.synthetic ? '  (synthetic data)' : ''}`,
    '',
    row('users', whole(d.users)),
    row('items', whole(d.items)),
    row('interactions', whole(d.interactions)),
    row('density', `${Number((d.density * 100).toPrecision(3))} %`),
  ];
  if (d.split !== undefined) lines.push(row('part', `${d.split.role} of a ${d.split.strategy} split`));
  if (d.timeSpan !== undefined) lines.push(row('times', formatSpan(d.timeSpan)));
  if (d.values !== undefined) lines.push(row('values', formatQuantiles(d.values)));
  if (d.itemColumns.length > 0) lines.push(row('item columns', d.itemColumns.join(', ')));
  lines.push(row('read from', formatSource(d)));
  lines.push(...formatDegrees('users', d.userDegrees, width));
  lines.push(...formatDegrees('items', d.itemDegrees, width));
  return lines.join('\n');
}

/** A label and its text, which goes on under itself, after a comma, where it is wider than the terminal. */
function labelled(label: string, text: string, width: number): string {
  const indent = LABEL_WIDTH + 2;
  const lines = [''];
  for (const piece of text.split(/(?<=,) | (?=\()/)) {
    const longer = lines.at(-1) === '' ? piece : `${lines.at(-1)} ${piece}`;
    if (indent + longer.length <= width || lines.at(-1) === '') lines[lines.length - 1] = longer;
    else lines.push(piece);
  }
  return `  ${label.padEnd(LABEL_WIDTH)}${lines.join(`\n${' '.repeat(indent)}`)}`;
}

function formatSpan({ kind, from, to, fromDate, toDate }: TimeSpan): string {
  if (fromDate === undefined || toDate === undefined) return `${from} to ${to}`;
  const dates = `${fromDate.slice(0, 10)} to ${toDate.slice(0, 10)}`;
  return kind === 'timestamp' ? dates : `${from} to ${to} (as Unix times: ${dates})`;
}

function formatSource({ source }: DatasetDescription): string {
  const { user, item, value, time } = source.columns;
  const columns = [user, item, value, time].filter((name) => name !== undefined).join(', ');
  const names = source.files.map(({ name }) => name);
  const files =
    names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
  const repeats =
    source.duplicatesMerged === 0
      ? ''
      : `, ${whole(source.duplicatesMerged)} repeats merged (${source.merge})`;
  const bad = source.rowsRejected === 0 ? '' : `, ${whole(source.rowsRejected)} bad rows left out`;
  return `${files} (${columns}): ${whole(source.rowsRead)} rows${repeats}${bad}`;
}

function formatDegrees(side: 'users' | 'items', degrees: DegreeSummary, width: number): string[] {
  const { quantiles, histogram, emptyRows } = degrees;
  const empty = emptyRows === 0 ? '' : `, ${whole(emptyRows)} without any`;
  if (quantiles === undefined) return ['', `  ${side}: none has interactions`];
  const lines = [
    '',
    labelled(side === 'users' ? 'per user' : 'per item', `${formatQuantiles(quantiles)}${empty}`, width),
  ];
  const labels = histogram.map(({ from, to }) => (from === to ? whole(from) : `${whole(from)}–${whole(to)}`));
  const labelWidth = Math.max(...labels.map((label) => label.length));
  const most = Math.max(...histogram.map(({ rows }) => rows));
  const countWidth = whole(most).length;
  const barMax = Math.max(5, Math.min(BAR_MAX, width - labelWidth - countWidth - 8));
  histogram.forEach(({ rows }, n) => {
    const bar = '█'.repeat(rows === 0 ? 0 : Math.max(1, Math.round((rows / most) * barMax)));
    lines.push(
      `    ${labels[n]!.padStart(labelWidth)}  ${whole(rows).padStart(countWidth)}  ${bar}`.trimEnd(),
    );
  });
  return lines;
}

function formatQuantiles({ min, p10, median, p90, p99, max, mean }: Quantiles): string {
  return [
    `min ${short(min)}`,
    `10 % ${short(p10)}`,
    `median ${short(median)}`,
    `mean ${short(mean)}`,
    `90 % ${short(p90)}`,
    `99 % ${short(p99)}`,
    `max ${short(max)}`,
  ].join(', ');
}

function short(value: number): string {
  return Number.isInteger(value) ? whole(value) : String(Number(value.toPrecision(3)));
}

function whole(value: number): string {
  return value.toLocaleString('en-US');
}
