// How the run went on: the loss after every phase where it was computed, else the seconds of every epoch.

import { horizontalAxis, type PlotBox, verticalAxis } from './axes.js';
import { type ChartOptions, figure, legendKey, px, svg } from './figure.js';
import { formatNumber, formatSeconds } from './format.js';
import { type Insert, type Markup, markup } from './markup.js';
import type { PhaseRecord } from './phase-record.js';
import { exactScale, linearScale, logScale, type Scale } from './scale.js';

type LossPhase = PhaseRecord & { loss: number };

/** More marks than this cannot be told apart; every n-th phase is shown then, and the last. */
const MARKS_MAX = 200;

/** Above this ratio of first to last loss a linear axis hides the end of the curve. */
const LOG_RATIO = 10;

/** The figure, or nothing where no phase was completed. */
export function learningCurve(phases: readonly PhaseRecord[]): Markup | undefined {
  const withLoss = phases.filter((phase): phase is LossPhase => phase.loss !== undefined);
  if (withLoss.length > 0) return lossFigure(withLoss);
  return phases.length === 0 ? undefined : secondsFigure(epochSeconds(phases));
}

function lossFigure(phases: LossPhase[]): Markup {
  const first = phases[0]!;
  const last = phases.at(-1)!;
  const hasSides = phases.some(({ side }) => side === 'items');
  return figure({
    id: 'learning-curve',
    title: 'Learning curve',
    caption: hasSides
      ? markup`The objective after each phase: ${formatNumber(first.loss)} after the first, ${formatNumber(last.loss)} after the last. Exact solvers never let it rise.`
      : markup`Mean loss of the samples of each epoch, each before its step: ${formatNumber(first.loss)} in the first, ${formatNumber(last.loss)} in the last.`,
    legend: hasSides
      ? [legendKey('users', 'after the users'), legendKey('items', 'after the items')]
      : [legendKey('users', 'an epoch')],
    chart: (options) => lossChart(phases, options),
    table: {
      head: ['Epoch', 'Side', 'Loss'],
      rows: thinned(phases).map((phase) => [phase.epoch, phase.side, formatNumber(phase.loss)]),
    },
  });
}

const PANEL_HEIGHT = 290;
const PANEL_GAP = 40;

/** The whole curve, and its second half on a scale of its own, which the first phases would dwarf. */
function lossChart(phases: LossPhase[], { width }: ChartOptions): Markup {
  const later = phases.slice(Math.floor(phases.length / 2));
  const isNarrow = width < 500;
  const panelWidth = isNarrow ? width : (width - PANEL_GAP) / 2;
  const right = isNarrow ? `translate(0 ${PANEL_HEIGHT})` : `translate(${panelWidth + PANEL_GAP} 0)`;
  return svg({
    width,
    height: isNarrow ? 2 * PANEL_HEIGHT : PANEL_HEIGHT,
    label: `Loss by epoch, from ${formatNumber(phases[0]!.loss)} to ${formatNumber(phases.at(-1)!.loss)}.`,
    content: [
      lossPanel(phases, 'Loss, whole run', panelWidth),
      markup`<g transform="${right}">${lossPanel(later, 'Loss, second half', panelWidth)}</g>`,
    ],
  });
}

function lossPanel(phases: LossPhase[], title: string, width: number): Insert {
  const box: PlotBox = { left: 64, right: width - 16, top: 34, bottom: 246 };
  const losses = phases.map((phase) => phase.loss);
  const domain: [number, number] = [Math.min(...losses), Math.max(...losses)];
  const isLog = domain[0] > 0 && domain[1] / domain[0] > LOG_RATIO;
  const y = (isLog ? logScale : linearScale)({ domain, range: [box.bottom, box.top] });
  const hasSides = phases.some(({ side }) => side === 'items');
  const epochOf = (phase: PhaseRecord) => phase.epoch - (hasSides && phase.side === 'users' ? 0.5 : 0);
  const ends: [number, number] = [epochOf(phases[0]!), epochOf(phases.at(-1)!)];
  const x = exactScale({ domain: ends, range: [box.left + 10, box.right - 6], ticks: 5 });
  const drawn = thinned(phases);
  const points = drawn.map((phase) => `${px(x.at(epochOf(phase)))},${px(y.at(phase.loss))}`);
  const marks = drawn.map(
    (phase) =>
      markup`<circle class="${phase.side}" cx="${px(x.at(epochOf(phase)))}" cy="${px(y.at(phase.loss))}" r="4"><title>epoch ${phase.epoch}, after the ${phase.side}: ${formatNumber(phase.loss)}</title></circle>`,
  );
  return [
    verticalAxis(box, y, isLog ? `${title} (logarithmic)` : title),
    horizontalAxis(box, wholeNumbers(x), 'Epoch'),
    markup`<polyline class="curve" points="${points.join(' ')}"/>`,
    marks,
  ];
}

function thinned<T>(marks: readonly T[]): T[] {
  const every = Math.ceil(marks.length / MARKS_MAX);
  return marks.filter((_, i) => i % every === 0 || i === marks.length - 1);
}

function wholeNumbers(scale: Scale): Scale {
  return { ...scale, ticks: scale.ticks.filter(Number.isInteger) };
}

interface EpochTime {
  epoch: number;
  seconds: number;
}

function epochSeconds(phases: readonly PhaseRecord[]): EpochTime[] {
  const epochs = new Map<number, { start: number; end: number }>();
  for (const { epoch, startMs, endMs } of phases) {
    const known = epochs.get(epoch) ?? { start: startMs, end: endMs };
    epochs.set(epoch, { start: Math.min(known.start, startMs), end: Math.max(known.end, endMs) });
  }
  return [...epochs].map(([epoch, { start, end }]) => ({ epoch, seconds: (end - start) / 1000 }));
}

function secondsFigure(epochs: EpochTime[]): Markup {
  const total = epochs.reduce((sum, { seconds }) => sum + seconds, 0);
  return figure({
    id: 'learning-curve',
    title: 'Seconds by epoch',
    caption: markup`${epochs.length} epochs, ${formatSeconds(total / epochs.length)} each on average. The loss was not computed; train with <code>--set train.loss=true</code> to see it fall.`,
    chart: (options) => secondsChart(epochs, options),
    table: {
      head: ['Epoch', 'Time'],
      rows: thinned(epochs).map(({ epoch, seconds }) => [epoch, formatSeconds(seconds)]),
    },
  });
}

function secondsChart(epochs: EpochTime[], { width }: ChartOptions): Markup {
  const box: PlotBox = { left: 52, right: width - 16, top: 34, bottom: 206 };
  const slowest = Math.max(...epochs.map(({ seconds }) => seconds));
  const y = linearScale({ domain: [0, slowest], range: [box.bottom, box.top], ticks: 4 });
  const [first, last] = [epochs[0]!.epoch, epochs.at(-1)!.epoch];
  const x = exactScale({
    domain: [first - 0.5, last + 0.5],
    range: [box.left, box.right],
    ticks: width < 500 ? 5 : 10,
  });
  const slot = x.at(1) - x.at(0);
  const barWidth = Math.max(0.5, Math.min(slot - Math.min(2, slot / 4), 48));
  const bars = thinned(epochs).map(({ epoch, seconds }) => {
    const top = px(y.at(seconds));
    return markup`<rect class="users" x="${px(x.at(epoch) - barWidth / 2)}" y="${top}" width="${px(barWidth)}" height="${px(box.bottom - top)}"><title>epoch ${epoch}: ${formatSeconds(seconds)}</title></rect>`;
  });
  return svg({
    width,
    height: 250,
    label: `Seconds of each of ${epochs.length} epochs.`,
    content: [verticalAxis(box, y, 'Seconds'), bars, horizontalAxis(box, wholeNumbers(x), 'Epoch')],
  });
}
