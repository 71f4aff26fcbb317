// Quality of iALS and of the baselines on real course data: imports, splits, trains through a coordinator with a
// worker, evaluates, prints a table. `node dist/bench/quality.js [--data DIR] [--sets a,b] [--tune] [--bf16] [--json]`

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf, UsageError } from '../common/errors.js';
import { packageRoot } from '../common/package-root.js';
import { COURSE_SETS, type CourseSet, type IalsSettings, MOOC_REFERENCE } from './quality/course-sets.js';
import { type LocalCluster, startLocalCluster } from './quality/local-cluster.js';
import { type HiddenSplit, hideLast, prepareSet } from './quality/prepare-set.js';
import { type QualityRow, qualityTable, rowsOf, settingsText } from './quality/quality-table.js';
import { tune } from './quality/tune.js';

interface Options {
  data: string;
  sets: readonly CourseSet[];
  tune: boolean;
  /** Trains iALS with rows as bfloat16 besides. */
  bf16: boolean;
  json: boolean;
}

const USAGE = `usage: node dist/bench/quality.js [--data DIR] [--sets ${COURSE_SETS.map(({ name }) => name).join(',')}] [--tune] [--bf16] [--json]`;

try {
  await main(readOptions());
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      data: { type: 'string', default: path.join(packageRoot, '../shared/datasets') },
      sets: { type: 'string', default: COURSE_SETS.map(({ name }) => name).join(',') },
      tune: { type: 'boolean', default: false },
      bf16: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const sets = values.sets.split(',').map((name) => {
    const known = COURSE_SETS.find((set) => set.name === name);
    if (known === undefined) throw new UsageError('STOA_USAGE', `unknown set "${name}"; ${USAGE}`);
    return known;
  });
  return { data: values.data, sets, tune: values.tune, bf16: values.bf16, json: values.json };
}

async function main(options: Options): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'stoa-quality-'));
  const cluster = await startLocalCluster(folder);
  try {
    const rows: QualityRow[] = [];
    for (const set of options.sets) {
      const work = path.join(folder, set.name);
      rows.push(...(await measureSet(set, options, work, cluster)));
    }
    process.stdout.write(options.json ? `${JSON.stringify(rows, null, 2)}\n` : `${qualityTable(rows)}\n`);
  } finally {
    await cluster.close();
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureSet(
  set: CourseSet,
  options: Options,
  work: string,
  cluster: LocalCluster,
): Promise<QualityRow[]> {
  const split = await prepareSet(set, options.data, work);
  const settings = options.tune ? await tuned(set, split.train, work, cluster) : set.settings;
  const rows = await measured(set, cluster, split, settings);
  if (options.bf16) {
    const [rounded] = await measured(set, cluster, split, { ...settings, wire: 'bf16' });
    rows.splice(1, 0, rounded!);
  }
  if (set.name !== 'mooc') return rows;
  for (const row of rows) if (row.scorer !== 'ials') row.reference = MOOC_REFERENCE[row.scorer];
  const reference = MOOC_REFERENCE['ials']!;
  const [ials] = await measured(set, cluster, split, reference.settings!);
  return [rows[0]!, { ...ials!, reference }, ...rows.slice(1)];
}

async function measured(
  set: CourseSet,
  cluster: LocalCluster,
  split: HiddenSplit,
  settings: IalsSettings,
): Promise<QualityRow[]> {
  const result = await cluster.train({ dataset: split.train, test: split.test, settings });
  const seconds = result.epoch_seconds.reduce((sum, epoch) => sum + epoch, 0).toFixed(1);
  log(
    `${set.name}: ${settingsText(settings)}: trained in ${seconds} s, ${result.seconds_total.toFixed(1)} s in all`,
  );
  return rowsOf(set, settings, result.metrics!);
}

async function tuned(
  set: CourseSet,
  train: string,
  work: string,
  cluster: LocalCluster,
): Promise<IalsSettings> {
  const split = await hideLast(train, path.join(work, 'validation'));
  const trials = await tune(cluster, split, set.settings.epochs, ({ settings, ndcg }) => {
    log(`${set.name}: validation ${settingsText(settings)}: NDCG@10 ${ndcg.toFixed(4)}`);
  });
  return trials.at(-1)!.settings;
}

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}
