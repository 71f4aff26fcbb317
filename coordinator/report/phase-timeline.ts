// Who computed what when: one row for each worker, one bar for each block, the phases behind them.

import { horizontalAxis, type PlotBox } from './axes.js';
import { type ChartOptions, figure, legendKey, px, svg } from './figure.js';
import { formatCount, formatSeconds } from './format.js';
import { type Markup, markup } from './markup.js';
import type { PhaseRecord } from './phase-record.js';
import { exactScale, type Scale } from './scale.js';
import { type TimelineBar, timelineLanes, type WorkerTimeline } from './timeline-lanes.js';

/** Rows beyond this make the page longer, not clearer; the table still has every worker. */
const WORKERS_DRAWN_MAX = 24;

/** Blocks at once that get a lane of their own. */
const LANES_MAX = 8;

/** Least distance of two epochs' lines. */
const MARK_GAP = 6;

const LANE_HEIGHT = 10;
const WORKER_GAP = 26;

/** The figure, or nothing where no block was recorded. */
export function phaseTimeline(phases: readonly PhaseRecord[]): Markup | undefined {
  const workers = timelineLanes(phases, 0, LANES_MAX);
  if (workers.length === 0) return undefined;
  const endMs = Math.max(...phases.map((phase) => phase.endMs));
  const blocks = workers.reduce((sum, worker) => sum + worker.blocks, 0);
  const left = workers.length - WORKERS_DRAWN_MAX;
  const computing = phases.reduce((sum, phase) => sum + phase.endMs - phase.startMs, 0);
  return figure({
    id: 'timeline',
    title: 'Phases by worker',
    caption: markup`${formatCount(blocks)} blocks in ${phases.length} phases over ${formatSeconds(endMs / 1000)}. A gap is time in which a worker waited for the others or for data.${left > 0 && ` The first ${WORKERS_DRAWN_MAX} workers are drawn, ${left} more are in the table.`}`,
    legend: [legendKey('users', 'solving users'), legendKey('items', 'solving items')],
    chart: (options) => timelineChart(phases, endMs, options),
    table: {
      head: ['Worker', 'Blocks', 'Time in blocks', 'Blocks at once, on average'],
      rows: workers.map(({ worker, blocks: count, busyMs }) => [
        worker,
        formatCount(count),
        formatSeconds(busyMs / 1000),
        (busyMs / Math.max(computing, 1)).toFixed(2),
      ]),
    },
  });
}

function timelineChart(phases: readonly PhaseRecord[], endMs: number, { width }: ChartOptions): Markup {
  const left = 12;
  const right = width - 12;
  const msPerPixel = endMs / (right - left);
  const workers = timelineLanes(phases, msPerPixel, LANES_MAX).slice(0, WORKERS_DRAWN_MAX);
  const lanes = workers.reduce((sum, worker) => sum + worker.lanes.length, 0);
  const top = 24;
  const bottom = top + lanes * LANE_HEIGHT + workers.length * WORKER_GAP;
  const box: PlotBox = { left, right, top, bottom };
  const ticks = width < 500 ? 4 : 10;
  const x = exactScale({ domain: [0, endMs / 1000], range: [left, right], ticks });
  let y = top;
  const rows = workers.map((worker) => {
    const row = workerRow(worker, x, left, y);
    y += WORKER_GAP + worker.lanes.length * LANE_HEIGHT;
    return row;
  });
  return svg({
    width,
    height: bottom + 44,
    label: `Timeline of ${workers.length} workers over ${formatSeconds(endMs / 1000)}.`,
    content: [epochMarks(phases, x, box), rows, horizontalAxis(box, x, 'Seconds since the start')],
  });
}

/** A line where each epoch begins, with its number, both where there is room. */
function epochMarks(phases: readonly PhaseRecord[], x: Scale, box: PlotBox): Markup[] {
  const starts = new Map<number, number>();
  for (const { epoch, startMs } of phases) {
    if (!starts.has(epoch)) starts.set(epoch, px(x.at(startMs / 1000)));
  }
  const marks: Markup[] = [];
  let labelledTo = Number.NEGATIVE_INFINITY;
  let lastAt = Number.NEGATIVE_INFINITY;
  for (const [epoch, at] of starts) {
    if (at - lastAt < MARK_GAP) continue;
    lastAt = at;
    const text = labelledTo === Number.NEGATIVE_INFINITY ? `epoch ${epoch}` : String(epoch);
    const hasRoom = at >= labelledTo && at + 7 * text.length <= box.right;
    if (hasRoom) labelledTo = at + 7 * text.length + 8;
    marks.push(
      markup`<line class="grid" x1="${at}" x2="${at}" y1="${hasRoom ? box.top - 16 : box.top}" y2="${box.bottom}"/>${hasRoom && markup`<text class="tick" x="${at + 3}" y="${box.top - 8}">${text}</text>`}`,
    );
  }
  return marks;
}

function workerRow(worker: WorkerTimeline, x: Scale, left: number, top: number): Markup {
  const bars = worker.lanes.flatMap((lane, l) =>
    lane.map((bar) => {
      const start = x.at(bar.startMs / 1000);
      const barWidth = Math.max(x.at(bar.endMs / 1000) - start - 0.5, 0.5);
      const what = `${worker.worker}, ${barText(bar)}`;
      return markup`<rect class="${bar.side}" x="${px(start)}" y="${top + 18 + l * LANE_HEIGHT}" width="${px(barWidth)}" height="${LANE_HEIGHT - 1}"><title>${what}</title></rect>`;
    }),
  );
  return markup`<text class="label" x="${left}" y="${top + 13}">${worker.worker}</text>${bars}`;
}

function barText(bar: TimelineBar): string {
  const seconds = formatSeconds((bar.endMs - bar.startMs) / 1000);
  const blocks = bar.blocks === 1 ? 'one block' : `${bar.blocks} blocks`;
  return bar.lastEpoch === bar.epoch
    ? `epoch ${bar.epoch}, ${bar.side}: ${blocks}, ${seconds}`
    : `epochs ${bar.epoch} to ${bar.lastEpoch}: ${blocks}, ${seconds}`;
}
