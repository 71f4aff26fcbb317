// `stoa data split`: one dataset becomes a training and a test part (and a fold-in part) that share its rows.

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { publishFolder } from '../../common/atomic-files.js';
import { DataError, UsageError } from '../../common/errors.js';
import { BuildPool } from '../build-pool.js';
import { transpose } from '../csr/transpose.js';
import { type Dataset, openDataset } from '../dataset.js';
import { writeDataset } from '../write-dataset.js';
import { assignLast } from './assign-last.js';
import { assignRandom } from './assign-random.js';
import { assignStrong } from './assign-strong.js';
import { assignTemporal, momentOf } from './assign-temporal.js';
import { FOLD_IN, selectPart, TEST, type TimedRows, TRAIN } from './parts.js';
import { SPLIT_FILE } from './resolve-split.js';

export type SplitStrategy = 'random' | 'leave-last-out' | 'temporal' | 'strong';

export interface SplitOptions {
  /** Dataset folder. */
  dataset: string;
  /** Folder to make: `train`, `test`, with `strong` also `fold-in`, and `split.json`. */
  out: string;
  strategy: SplitStrategy;
  /** Share that is held out, above 0 and below 1; for `temporal` when `at` is absent. @default 0.2 */
  testFraction?: number;
  /** @default 1 */
  seed?: number;
  /** Interactions that a tested user keeps for training (or folding in). @default 1, for `temporal` 0 */
  minTrain?: number;
  /** For `strong`. @default a tenth of the users */
  heldOutUsers?: number;
  /** For `temporal`: the first moment of the test part, as the times in the dataset. */
  at?: number;
}

export interface SplitPart {
  fingerprint: string;
  interactions: number;
  /** Users with at least one interaction in the part. */
  users: number;
}

export interface SplitReport {
  out: string;
  strategy: SplitStrategy;
  seed: number;
  train: SplitPart;
  test: SplitPart;
  foldIn?: SplitPart;
  /** First moment of the test part; temporal only. */
  at?: number;
  /** Interactions in no part; temporal with `minTrain` only. */
  dropped: number;
  seconds: number;
}

const TEST_FRACTION = 0.2;
const HELD_OUT_SHARE = 0.1;
/** Fewer interactions than this are written sooner than threads start. */
const THREADED_MIN = 500_000;

/**
 * Splits a dataset. The same dataset, options and seed give the same bytes. Nothing is at `out` until all of it is.
 *
 * @throws {UsageError} `STOA_USAGE`: an option out of range, or times needed and not there; {DataError}
 *   `STOA_DATA_EMPTY`: one part would be empty; {StateError} `STOA_EXISTS`; and those of `openDataset`.
 */
export async function splitDataset(options: SplitOptions): Promise<SplitReport> {
  const startMs = performance.now();
  const dataset = await openDataset(options.dataset);
  checkOptions(options, dataset);
  const rows = await dataset.loadTimedUsers();
  const { parts, settings } = assign(rows, options, dataset.manifest.users);
  const written = await publishFolder(path.resolve(options.out), (temporary) =>
    writeParts({
      dataset,
      rows,
      parts,
      settings,
      strategy: options.strategy,
      dir: temporary,
      out: options.out,
    }),
  );
  const { train, test, foldIn } = written;
  const dropped =
    rows.csr.idx.length -
    train.interactions -
    test.interactions -
    (foldIn === undefined ? 0 : foldIn.interactions);
  return {
    out: options.out,
    strategy: options.strategy,
    seed: options.seed ?? 1,
    ...written,
    at: settings['at'],
    dropped,
    seconds: (performance.now() - startMs) / 1000,
  };
}

function checkOptions({ testFraction, strategy, at }: SplitOptions, { manifest, dir }: Dataset): void {
  if (at !== undefined && !Number.isFinite(at)) {
    throw new UsageError('STOA_USAGE', '--at is not a moment; give a number, or a date like 2024-05-31', {
      fields: { field: '--at' },
    });
  }
  if (testFraction !== undefined && !(testFraction > 0 && testFraction < 1)) {
    throw new UsageError(
      'STOA_USAGE',
      `--test-fraction ${testFraction} is not a share; give a number above 0 and below 1, for example 0.2`,
      { fields: { field: '--test-fraction' } },
    );
  }
  if (manifest.hasTimes || (strategy !== 'leave-last-out' && strategy !== 'temporal')) return;
  throw new UsageError(
    'STOA_USAGE',
    `the dataset ${dir} has no times, so a ${strategy} split cannot tell what came last; import it with --time-col COLUMN, or use --strategy random`,
    { fields: { field: '--strategy', file: dir } },
  );
}

interface Assignment {
  parts: Uint8Array;
  /** What the split was made with: goes into the manifests. */
  settings: Record<string, number>;
}

function assign(rows: TimedRows, options: SplitOptions, users: number): Assignment {
  const { seed = 1, testFraction = TEST_FRACTION } = options;
  const minTrain = options.minTrain ?? (options.strategy === 'temporal' ? 0 : 1);
  switch (options.strategy) {
    case 'random':
      return {
        parts: assignRandom(rows.csr, { seed, testFraction, minTrain }),
        settings: { seed, testFraction, minTrain },
      };
    case 'leave-last-out':
      return { parts: assignLast(rows, { minTrain }), settings: { minTrain } };
    case 'temporal': {
      const at = options.at ?? momentOf(rows.times!, testFraction);
      return { parts: assignTemporal(rows, { at, minTrain }), settings: { at, minTrain } };
    }
    case 'strong': {
      const heldOutUsers = options.heldOutUsers ?? Math.max(1, Math.round(users * HELD_OUT_SHARE));
      const { parts, heldOut } = assignStrong(rows.csr, { seed, testFraction, minTrain, heldOutUsers });
      return { parts, settings: { seed, testFraction, minTrain, heldOutUsers: heldOut } };
    }
  }
}

interface WriteOptions extends Assignment {
  dataset: Dataset;
  rows: TimedRows;
  strategy: SplitStrategy;
  dir: string;
  out: string;
}

async function writeParts(options: WriteOptions): Promise<Pick<SplitReport, 'train' | 'test' | 'foldIn'>> {
  const { dataset, dir, strategy, settings } = options;
  const pool = new BuildPool(dataset.manifest.interactions < THREADED_MIN ? 1 : undefined);
  try {
    const train = await writePart(options, 'train', TRAIN, pool);
    const test = await writePart(options, 'test', TEST, pool);
    const foldIn = strategy === 'strong' ? await writePart(options, 'fold-in', FOLD_IN, pool) : undefined;
    const written = { train, test, ...(foldIn === undefined ? {} : { foldIn }) };
    const json = {
      format: 'stoa-split',
      version: 1,
      strategy,
      ...settings,
      of: dataset.fingerprint,
      synthetic: dataset.manifest.synthetic,
      parts: written,
    };
    await writeFile(path.join(dir, SPLIT_FILE), `${JSON.stringify(json, null, 1)}\n`);
    return written;
  } finally {
    await pool.close();
  }
}

async function writePart(
  { dataset, rows, parts, settings, strategy, dir, out }: WriteOptions,
  role: 'train' | 'test' | 'fold-in',
  part: number,
  pool: BuildPool,
): Promise<SplitPart> {
  const selected = selectPart(rows, parts, part);
  if (selected.csr.idx.length === 0) {
    throw new DataError(
      'STOA_DATA_EMPTY',
      `the ${role} part of ${out} would be empty with --strategy ${strategy}; users have too few interactions for these options, change --test-fraction, --min-train or --at`,
      { fields: { file: out } },
    );
  }
  const { manifest } = dataset;
  const items = await dataset.items();
  const folder = path.join(dir, role);
  await mkdir(folder);
  const written = await writeDataset(
    folder,
    {
      userIds: await dataset.userIds(),
      itemIds: items.ids,
      itemColumns: items.columns,
      users: selected.csr,
      times: selected.times,
      timeKind: manifest.timeKind,
      items: transpose(selected.csr).csr,
      synthetic: manifest.synthetic,
      source: manifest.source,
      split: { strategy, role, of: dataset.fingerprint, ...settings },
    },
    pool,
  );
  return {
    fingerprint: written.fingerprint,
    interactions: selected.csr.idx.length,
    users: countFilledRows(selected.csr.ptr),
  };
}

function countFilledRows(ptr: Int32Array): number {
  let filled = 0;
  for (let row = 0; row + 1 < ptr.length; row++) if (ptr[row + 1]! > ptr[row]!) filled++;
  return filled;
}
