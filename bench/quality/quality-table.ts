import type { CourseSet, IalsSettings } from './course-sets.js';

/** One scorer on one set. */
export interface QualityRow {
  set: string;
  scorer: string;
  settings?: IalsSettings;
  /** Metrics by name, with `intervals`; or why there are none. */
  metrics: Record<string, unknown>;
  reference?: { hr: number; ndcg: number };
}

const COLUMNS = ['hr@10', 'ndcg@10', 'recall@20', 'ndcg@100', 'coverage@10'];

/** Rows of every scorer of a run, from the `metrics` of its result. */
export function rowsOf(
  { name }: CourseSet,
  settings: IalsSettings,
  metrics: Record<string, unknown>,
): QualityRow[] {
  const { baselines, ...model } = metrics as { baselines: Record<string, Record<string, unknown>> };
  return [
    { set: name, scorer: 'ials', settings, metrics: model },
    ...Object.entries(baselines).map(([scorer, values]) => ({ set: name, scorer, metrics: values })),
  ];
}

/** A Markdown table: metrics with the half width of their 95 % interval, and how far from the reference they are. */
export function qualityTable(rows: readonly QualityRow[]): string {
  const head = ['set', 'scorer', 'settings', ...COLUMNS, 'reference HR / NDCG'];
  const lines = rows.map((row) => [
    row.set,
    row.scorer,
    row.settings === undefined ? '' : settingsText(row.settings),
    ...('skipped' in row.metrics
      ? [String(row.metrics['skipped']), ...COLUMNS.slice(1).map(() => '')]
      : COLUMNS.map((column) => metricText(row.metrics, column))),
    row.reference === undefined ? '' : `${row.reference.hr.toFixed(4)} / ${row.reference.ndcg.toFixed(4)}`,
  ]);
  const table = [head, head.map(() => '---'), ...lines];
  const widths = head.map((_, c) => Math.max(...table.map((line) => line[c]!.length)));
  return table.map((line) => `| ${line.map((text, c) => padded(text, widths[c]!)).join(' | ')} |`).join('\n');
}

export function settingsText({ factors, alpha0, regularization, epochs, wire }: IalsSettings): string {
  const rows = wire === 'bf16' ? ', rows as bf16' : '';
  return `K ${factors}, α₀ ${alpha0}, λ ${regularization}, ${epochs} epochs${rows}`;
}

function padded(text: string, width: number): string {
  return text === '---' ? '-'.repeat(width) : text.padEnd(width);
}

function metricText(metrics: Record<string, unknown>, name: string): string {
  const value = metrics[name] as number;
  const interval = (metrics['intervals'] as Record<string, [number, number]>)[name];
  return interval === undefined
    ? value.toFixed(4)
    : `${value.toFixed(4)} ±${((interval[1] - interval[0]) / 2).toFixed(4)}`;
}
