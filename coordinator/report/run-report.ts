// The page that a run leaves behind: one HTML file without scripts, fonts or anything from a network.

import type { EvaluationReport } from '../evaluation/evaluation-report.js';
import { type Degrees, degreeChart } from './degree-chart.js';
import { dataTable } from './figure.js';
import { formatBytes, formatCount, formatNumber, formatSeconds } from './format.js';
import { learningCurve } from './learning-curve.js';
import { type Insert, Markup, markup } from './markup.js';
import { metricChart } from './metric-chart.js';
import type { PhaseRecord } from './phase-record.js';
import { phaseTimeline } from './phase-timeline.js';
import { REPORT_STYLE } from './report-style.js';
import { stalenessTable } from './staleness-table.js';

export type { BlockRecord, PhaseRecord } from './phase-record.js';

export interface RunReportData {
  runId: string;
  /** When the run was created, for people (ISO 8601). */
  createTime: string;
  /** The data were made by a generator; said at the top of the page. */
  synthetic: boolean;
  /** The document of `train --json`; its `config`, where it has one, is shown as the configuration. */
  summary: Record<string, unknown>;
  /** In the order in which they were completed. */
  phases: PhaseRecord[];
  evaluation?: EvaluationReport;
  /** Interactions of every user and every item in training. */
  degrees: Degrees;
}

/**
 * Writes the report of a run: facts, learning curve, timeline of phases by worker, quality against the baselines,
 * degree distributions, configuration. The page works without a network, prints, follows the reader's colour scheme,
 * fits a telephone, and has every chart's numbers as a table. The same data give the same bytes.
 */
export function renderRunReport(data: RunReportData): string {
  const model = String(data.summary['model'] ?? 'model');
  const page = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Run ${data.runId}${data.synthetic && ' (synthetic data)'}</title>
<style>${new Markup(REPORT_STYLE)}</style>
</head>
<body>
<main>
<header>
<h1>Run ${data.runId}</h1>
<p class="when">${data.createTime}</p>
${data.synthetic && markup`<p class="note"><strong>Synthetic data.</strong> These interactions were made by a generator; the figures below say nothing about real learners.</p>`}
</header>
${factsOf(data.summary)}
${data.evaluation !== undefined && evaluationSection(data.evaluation, model)}
${learningCurve(data.phases) ?? markup`<section><h2>Learning curve</h2><p class="caption">No phase was completed.</p></section>`}
${phaseTimeline(data.phases)}
${stalenessTable(data.phases)}
${degreeChart(data.degrees)}
${devicesOf(data.summary)}
${settingsOf(data.summary)}
</main>
</body>
</html>
`;
  return page.text;
}

function evaluationSection(evaluation: EvaluationReport, model: string): Markup {
  if (evaluation.usersEvaluated > 0) return metricChart(evaluation, model);
  return markup`<section><h2>Quality against the baselines</h2><p class="caption">No user has held-out items, so there is nothing to compare.</p></section>`;
}

/** What a reader wants first, as far as the summary has it. */
const FACTS: readonly (readonly [key: string, label: string, format: (value: unknown) => Insert])[] = [
  ['model', 'Model', String],
  ['users', 'Users', count],
  ['items', 'Items', count],
  ['interactions', 'Interactions', count],
  ['factors', 'Factors', count],
  ['epochs', 'Epochs', count],
  ['solver', 'Solver', String],
  ['device', 'Device', String],
  ['workers', 'Workers', count],
  ['threads', 'Threads per worker', count],
  ['seconds_total', 'Time', (value) => (typeof value === 'number' ? formatSeconds(value) : String(value))],
  ['peak_rss_bytes', 'Peak memory', bytesText],
];

/** The devices that computed, in full. */
function devicesOf(summary: Record<string, unknown>): Insert {
  const devices = Array.isArray(summary['device_detail']) ? summary['device_detail'].filter(isRecord) : [];
  const columns = ['name', 'provider', 'adapter', 'driver', 'isa', 'precision', 'threads'];
  const head = ['Device', 'Provider', 'Adapter', 'Driver', 'Instructions', 'Precision', 'Threads'];
  const rows = devices.map((device) => columns.map((column) => scalarText(device[column] ?? '–')));
  return (
    devices.length > 0 &&
    markup`<section><h2>Computed on</h2>
${dataTable({ head, rows })}
</section>`
  );
}

function count(value: unknown): string {
  return typeof value === 'number' ? formatCount(value) : String(value);
}

function factsOf(summary: Record<string, unknown>): Markup {
  const known = FACTS.filter(([key]) => summary[key] !== undefined && summary[key] !== null);
  const facts = known.map(
    ([key, label, format]) => markup`<div><dt>${label}</dt><dd>${format(summary[key])}</dd></div>`,
  );
  return markup`<section aria-label="Summary"><dl class="facts">${facts}</dl></section>`;
}

/** Every setting of the summary's `config`, then every other scalar of the summary that the facts do not show. */
function settingsOf(summary: Record<string, unknown>): Markup {
  const shown = new Set(FACTS.map(([key]) => key));
  const config = summary['config'];
  const settings = isRecord(config) ? Object.entries(config) : [];
  const others = Object.entries(summary).filter(([key, value]) => !shown.has(key) && isScalar(value));
  const memory = summary['peak_rss_by_process'];
  const processes = isRecord(memory) ? Object.entries(memory) : [];
  const rows = (entries: [string, unknown][]) =>
    entries.map(([key, value]) => [markup`<code>${key}</code>`, scalarText(value)]);
  return markup`<section><h2>Configuration</h2>
${settings.length > 0 && dataTable({ head: ['Setting', 'Value'], rows: rows(settings) })}
${others.length > 0 && dataTable({ head: ['Fact', 'Value'], rows: rows(others) })}
${processes.length > 0 && dataTable({ head: ['Process', 'Peak memory'], rows: processes.map(([name, bytes]) => [name, bytesText(bytes)]) })}
</section>`;
}

function bytesText(value: unknown): string {
  return typeof value === 'number' ? formatBytes(value) : String(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isScalar(value: unknown): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value);
}

function scalarText(value: unknown): string {
  return typeof value === 'number' ? formatNumber(value) : String(value);
}
