// The data of a benchmark: made or imported once, then kept in .stoa-bench/.

import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { importInteractions } from '../../datasets/import/import-interactions.js';
import { splitDataset } from '../../datasets/split/split-dataset.js';
import { synthesize } from '../../datasets/synthesize/synthesize.js';
import { benchFolder } from './bench-folder.js';

/** The size that speed is stated for. */
const SYNTHETIC = { users: 138_000, items: 27_000, interactions: 10_000_000, seed: 1 };
/** The same shape at a fifth, for a look that takes a minute. */
const SMALL = { users: 27_600, items: 5400, interactions: 2_000_000, seed: 1 };
/** Enough held-out interactions for a stable recall; the training part stays as good as whole. */
const TEST_FRACTION = 0.02;
/** The real set, beside the repository. */
const MOOC_FILE = '../shared/datasets/mooc/interactions.csv.gz';

/** Command-line options that say which data; for `parseArgs`. */
export const DATA_OPTIONS = {
  data: { type: 'string' },
  mooc: { type: 'boolean', default: false },
  file: { type: 'string' },
} as const;

export interface DataFlags {
  /** A dataset folder of `stoa data import`. */
  data?: string;
  /** The real course enrolments of `MOOC_FILE`, or of `file`. */
  mooc?: boolean;
  /** A file to import: CSV with user_id and item_id. */
  file?: string;
  /** Synthetic data of `SMALL` size. */
  small?: boolean;
}

export interface BenchData {
  /** Short, without spaces: also the name of its folder in .stoa-bench/. */
  name: string;
  /** Dataset folders. */
  train: string;
  test: string;
}

/** Makes what is not there yet; says so on stderr. Errors of import and split. */
export async function benchData(flags: DataFlags): Promise<BenchData> {
  const name = nameOf(flags);
  const folder = path.join(benchFolder, 'data', name);
  const split = path.join(folder, 'split');
  if (!existsSync(split)) {
    const dataset = flags.data ?? (await wholeDataset(flags, folder));
    await splitDataset({ dataset, out: split, strategy: 'random', testFraction: TEST_FRACTION, seed: 1 });
  }
  return { name, train: path.join(split, 'train'), test: path.join(split, 'test') };
}

function nameOf({ data, mooc, file, small }: DataFlags): string {
  if (data !== undefined) return path.basename(path.resolve(data));
  if (mooc || file !== undefined) return path.basename(file ?? 'mooc').split('.')[0]!;
  return small ? 'synthetic-2m' : 'synthetic-10m';
}

async function wholeDataset({ mooc, file, small }: DataFlags, folder: string): Promise<string> {
  const out = path.join(folder, 'whole');
  if (existsSync(out)) return out;
  if (mooc || file !== undefined) {
    const source = file ?? path.resolve(MOOC_FILE);
    await importInteractions({ files: [source], out, userCol: 'user_id', itemCol: 'item_id' });
    return out;
  }
  const { users, items, interactions, seed } = small ? SMALL : SYNTHETIC;
  console.error(`making ${interactions.toLocaleString('en-US')} synthetic interactions, once…`);
  const made = path.join(folder, 'interactions.parquet');
  await synthesize({ users, items, interactions, seed, out: made });
  await importInteractions({ files: [made], out, synthetic: true });
  rmSync(made);
  return out;
}
