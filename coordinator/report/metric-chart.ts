// How good the recommendations are, next to the baselines, with their 95 % intervals.

import type { BaselineName, EvaluationReport, ScorerMetrics } from '../evaluation/evaluation-report.js';
import { BASELINE_NAMES } from '../evaluation/evaluation-report.js';
import { type ChartOptions, figure, legendKey, px, svg } from './figure.js';
import { formatCount, formatTicks } from './format.js';
import { type Markup, markup } from './markup.js';
import { linearScale } from './scale.js';

const BASELINE_LABELS: Record<BaselineName, string> = {
  popular: 'popularity',
  itemknn: 'item-kNN',
  ease: 'EASE',
};

/** The panels that are drawn, as far as the evaluation has them; the table has all. */
const PANELS = ['hr@10', 'ndcg@10', 'recall@20', 'ndcg@100', 'map@10', 'coverage@10'];

const METRIC_LABELS: Record<string, string> = {
  recall: 'Recall',
  ndcg: 'NDCG',
  hr: 'Hit rate',
  map: 'MAP',
  coverage: 'Coverage',
  novelty: 'Novelty (bits)',
};

interface Row {
  label: string;
  isModel: boolean;
  scorer: ScorerMetrics;
}

/** The figure. At least one user was evaluated. */
export function metricChart(report: EvaluationReport, modelName: string): Markup {
  const rows = rowsOf(report, modelName);
  const skipped = BASELINE_NAMES.flatMap((name) => {
    const baseline = report.baselines[name];
    return baseline !== undefined && 'skipped' in baseline
      ? [markup` ${BASELINE_LABELS[name]} was left out: ${baseline.skipped}.`]
      : [];
  });
  const names = Object.keys(report.model.metrics);
  return figure({
    id: 'metrics',
    title: 'Quality against the baselines',
    caption: markup`The held-out items of ${formatCount(report.usersEvaluated)} users, ranked among the whole catalogue without what they had taken. Lines are 95 % intervals over users.${skipped}`,
    legend: [legendKey('users', 'this model'), legendKey('muted', 'baselines')],
    chart: (options) => panels(rows, options),
    table: {
      head: ['Metric', ...rows.map((row) => row.label)],
      rows: names.map((name) => [metricLabel(name), ...rows.map((row) => cell(row.scorer, name))]),
    },
  });
}

function rowsOf(report: EvaluationReport, modelName: string): Row[] {
  const rows: Row[] = [{ label: modelName, isModel: true, scorer: report.model }];
  for (const name of [...BASELINE_NAMES].reverse()) {
    const baseline = report.baselines[name];
    if (baseline === undefined || 'skipped' in baseline) continue;
    rows.push({ label: BASELINE_LABELS[name], isModel: false, scorer: baseline });
  }
  return rows;
}

function cell(scorer: ScorerMetrics, name: string): string {
  const value = scorer.metrics[name]!.toFixed(4);
  const interval = scorer.intervals[name];
  return interval === undefined ? value : `${value} (${interval[0].toFixed(4)} to ${interval[1].toFixed(4)})`;
}

function metricLabel(name: string): string {
  const [metric, cutoff] = name.split('@');
  return `${METRIC_LABELS[metric!] ?? metric} at ${cutoff}`;
}

const PANEL_GAP = 32;
const PANEL_TOP = 30;
const ROW_HEIGHT = 24;

function panels(rows: Row[], { width }: ChartOptions): Markup {
  const names = PANELS.filter((name) => name in rows[0]!.scorer.metrics);
  const columns = width < 500 ? 1 : 3;
  const panelWidth = (width - (columns - 1) * PANEL_GAP) / columns;
  const panelHeight = PANEL_TOP + rows.length * ROW_HEIGHT + 34;
  const drawn = names.map((name, i) => {
    const left = (i % columns) * (panelWidth + PANEL_GAP);
    const top = Math.floor(i / columns) * panelHeight;
    return markup`<g transform="translate(${px(left)} ${top})">${panel(rows, name, panelWidth)}</g>`;
  });
  return svg({
    width,
    height: Math.ceil(names.length / columns) * panelHeight,
    label: `${names.map((name) => `${metricLabel(name)}: ${rows.map((row) => `${row.label} ${row.scorer.metrics[name]!.toFixed(4)}`).join(', ')}`).join('. ')}.`,
    content: drawn,
  });
}

/** One metric: a dot for each scorer on a scale from zero, its interval as a line, its value written at the right. */
function panel(rows: Row[], name: string, width: number): Markup {
  const left = 78;
  const right = width - 58;
  const highest = Math.max(...rows.map(({ scorer }) => scorer.intervals[name]?.[1] ?? scorer.metrics[name]!));
  const x = linearScale({ domain: [0, highest > 0 ? highest : 1], range: [left, right], ticks: 3 });
  const bottom = PANEL_TOP + rows.length * ROW_HEIGHT - 6;
  const names = formatTicks(x.ticks);
  const grid = x.ticks.map((tick, t) => {
    const at = px(x.at(tick));
    return markup`<line class="grid" x1="${at}" x2="${at}" y1="${PANEL_TOP - 10}" y2="${bottom}"/><text class="tick middle" x="${at}" y="${bottom + 15}">${names[t]}</text>`;
  });
  const lines = rows.map(({ label, isModel, scorer }, r) => {
    const y = PANEL_TOP + r * ROW_HEIGHT + 4;
    const value = scorer.metrics[name]!;
    const [low, high] = scorer.intervals[name] ?? [value, value];
    const color = isModel ? 'users' : 'muted';
    const title = `${label}: ${cell(scorer, name)}`;
    return markup`<g><title>${title}</title><text class="${isModel ? 'label' : 'tick'} end" x="${left - 8}" y="${y + 4}">${label}</text><line class="${color} whisker" x1="${px(x.at(low))}" x2="${px(x.at(high))}" y1="${y}" y2="${y}"/><circle class="${color}" cx="${px(x.at(value))}" cy="${y}" r="4"/><text class="${isModel ? 'label' : 'tick'}" x="${right + 8}" y="${y + 4}">${value.toFixed(4)}</text></g>`;
  });
  return markup`<text class="panel" x="0" y="12">${metricLabel(name)}</text>${grid}${lines}`;
}
