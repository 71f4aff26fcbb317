// What the runs of one setting come to, and the verdicts on it.

import { markdownTable } from '../support/markdown-table.js';
import { median } from '../support/median.js';
import type { Judged, Setting, Trained } from './cell.js';
import type { KernelEpochs } from './kernel-epochs.js';
import type { RecommendAll } from './recommend-all.js';

/** Losses of two engines that minimise the same thing differ by no more than this share. */
const LOSS_TOLERANCE = 0.005;
/** Rankings of the same factors differ by rounding alone: where two scores are all but equal. */
const OVERLAP_MIN = 0.999;

export interface Comparison extends Setting {
  implicit: Trained[];
  stoa: Trained[];
  kernels: KernelEpochs[];
  judged: { implicit: Judged; stoa: Judged };
  /** Absent unless recommending was measured for this setting. */
  recommend?: { implicit: { seconds: number; users: number }[]; stoa: RecommendAll[] };
}

/** What is wrong with a comparison: empty when the engines did the same work. */
export function objections(one: Comparison): string[] {
  const { implicit, stoa } = one.judged;
  const name = `K = ${one.factors}, ${one.solver}, ${one.threads} threads`;
  const difference = stoa.loss / implicit.loss - 1;
  const found: string[] = [];
  if (!(Math.abs(difference) <= LOSS_TOLERANCE)) {
    found.push(`${name}: the losses differ by ${percent(difference)} (${stoa.loss} and ${implicit.loss})`);
  }
  for (const { overlap } of one.recommend?.stoa ?? []) {
    if (!(overlap >= OVERLAP_MIN))
      found.push(`${name}: only ${percent(overlap)} of the recommendations agree`);
  }
  return found;
}

export function trainingTable(comparisons: readonly Comparison[]): string {
  const head = ['K', 'solver', 'threads', 'implicit s', 'stoa s', 'ratio', 'kernels s', 'ratio'];
  const more = ['implicit MB', 'stoa MB', 'kernels MB', 'loss vs implicit', 'recall@20', 'implicit'];
  const rows = comparisons.map((one) => {
    const seconds = {
      implicit: median(one.implicit.flatMap((run) => run.epoch_seconds)),
      stoa: median(one.stoa.flatMap((run) => run.epoch_seconds)),
      kernels: median(one.kernels.flatMap((run) => run.epoch_seconds)),
    };
    const { implicit, stoa } = one.judged;
    return [
      one.factors,
      one.solver === 'cg' ? 'CG(3)' : 'Cholesky',
      one.threads,
      seconds.implicit.toFixed(3),
      seconds.stoa.toFixed(3),
      `${(seconds.implicit / seconds.stoa).toFixed(2)}×`,
      seconds.kernels.toFixed(3),
      `${(seconds.implicit / seconds.kernels).toFixed(2)}×`,
      megabytes(one.implicit),
      megabytes(one.stoa),
      megabytes(one.kernels),
      percent(stoa.loss / implicit.loss - 1),
      stoa.recall.toFixed(4),
      implicit.recall.toFixed(4),
    ];
  });
  return markdownTable([...head, ...more], rows);
}

export function recommendTable(comparisons: readonly Comparison[]): string {
  const head = ['K', 'threads', 'implicit users/s', 'stoa users/s', 'ratio', 'same items'];
  const rows = comparisons.flatMap(({ factors, threads, recommend }) => {
    if (recommend === undefined) return [];
    const speed = (runs: readonly { seconds: number; users: number }[]) =>
      median(runs.map(({ seconds, users }) => users / seconds));
    const implicit = speed(recommend.implicit);
    const stoa = speed(recommend.stoa);
    const overlap = Math.min(...recommend.stoa.map((run) => run.overlap));
    const ratio = `${(stoa / implicit).toFixed(2)}×`;
    return [
      [factors, threads, implicit.toFixed(0), stoa.toFixed(0), ratio, `${(100 * overlap).toFixed(3)} %`],
    ];
  });
  return rows.length === 0 ? '' : markdownTable(head, rows);
}

function megabytes(runs: readonly { peak_rss_bytes: number }[]): string {
  return (median(runs.map((run) => run.peak_rss_bytes)) / 1e6).toFixed(0);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(3)} %`;
}
