// What is in a dataset: counts, how interactions are spread over users and items, the time span, the values.

import type { Dataset } from './dataset.js';
import type { DatasetManifest } from './manifest.js';

export { formatDescription } from './format-description.js';

export interface Quantiles {
  min: number;
  p10: number;
  p25: number;
  median: number;
  p75: number;
  p90: number;
  p99: number;
  max: number;
  mean: number;
}

export interface DegreeSummary {
  /** Rows of the side, empty ones included. */
  rows: number;
  /** Rows without interactions: only parts of a split have them. */
  emptyRows: number;
  /** Interactions of the rows that have any; absent when none has. */
  quantiles?: Quantiles;
  /** Rows by their interactions: `from` to `to`, both inclusive, each bin twice as wide as the one before. */
  histogram: { from: number; to: number; rows: number }[];
}

export interface TimeSpan {
  kind: 'number' | 'timestamp';
  from: number;
  to: number;
  /** ISO dates: of timestamps, and of numbers that look like Unix seconds or milliseconds. */
  fromDate?: string;
  toDate?: string;
}

export interface DatasetDescription {
  dataset: string;
  fingerprint: string;
  synthetic: boolean;
  users: number;
  items: number;
  interactions: number;
  /** interactions / (users · items). */
  density: number;
  userDegrees: DegreeSummary;
  itemDegrees: DegreeSummary;
  timeSpan?: TimeSpan;
  values?: Quantiles;
  /** Columns of the items file. */
  itemColumns: string[];
  /** How the data were read. */
  source: DatasetManifest['source'];
  split?: DatasetManifest['split'];
}

/** Reads all of a dataset once. Memory: that of one side's rows. */
export async function describeDataset(dataset: Dataset): Promise<DatasetDescription> {
  const { manifest } = dataset;
  const { users, items, interactions } = manifest;
  const values = manifest.hasValues ? (await dataset.loadCsr('users')).values : undefined;
  return {
    dataset: dataset.dir,
    fingerprint: dataset.fingerprint,
    synthetic: manifest.synthetic,
    users,
    items,
    interactions,
    density: interactions / (users * items),
    userDegrees: summarizeDegrees(await dataset.rowCounts('users')),
    itemDegrees: summarizeDegrees(await dataset.rowCounts('items')),
    timeSpan: spanOf(manifest),
    values: values === undefined ? undefined : quantilesOf(values),
    itemColumns: Object.keys((await dataset.items()).columns),
    source: manifest.source,
    split: manifest.split,
  };
}

function summarizeDegrees(counts: Int32Array): DegreeSummary {
  const filled = counts.filter((count) => count > 0);
  const histogram: DegreeSummary['histogram'] = [];
  for (const count of filled) {
    const bin = Math.floor(Math.log2(count));
    while (histogram.length <= bin) {
      const from = 2 ** histogram.length;
      histogram.push({ from, to: 2 * from - 1, rows: 0 });
    }
    histogram[bin]!.rows++;
  }
  return {
    rows: counts.length,
    emptyRows: counts.length - filled.length,
    quantiles: quantilesOf(filled),
    histogram: histogram.slice(histogram.findIndex(({ rows }) => rows > 0)),
  };
}

/** By nearest rank: every quantile is one of the numbers. */
function quantilesOf(numbers: Int32Array | Float32Array): Quantiles | undefined {
  const count = numbers.length;
  if (count === 0) return undefined;
  const sorted = numbers.slice().sort();
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * count) - 1)]!;
  let sum = 0;
  for (let k = 0; k < count; k++) sum += sorted[k]!;
  return {
    min: sorted[0]!,
    p10: at(0.1),
    p25: at(0.25),
    median: at(0.5),
    p75: at(0.75),
    p90: at(0.9),
    p99: at(0.99),
    max: sorted[count - 1]!,
    mean: sum / count,
  };
}

/** Seconds from 1990 to 2100: other counts are hardly ever all in there. */
const SECONDS_FROM = 631_152_000;
const SECONDS_TO = 4_102_444_800;

function spanOf({ timeKind, timeRange }: DatasetManifest): TimeSpan | undefined {
  if (timeKind === undefined || timeRange === undefined) return undefined;
  const [from, to] = timeRange;
  const isWithin = (scale: number) => from >= SECONDS_FROM * scale && to <= SECONDS_TO * scale;
  const scale = timeKind === 'timestamp' || isWithin(1000) ? 1 : isWithin(1) ? 1000 : undefined;
  return {
    kind: timeKind,
    from,
    to,
    ...(scale === undefined ? {} : { fromDate: dateOf(from * scale), toDate: dateOf(to * scale) }),
  };
}

/** Absent for moments that JavaScript's dates do not reach. */
function dateOf(ms: number): string | undefined {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : undefined;
}
