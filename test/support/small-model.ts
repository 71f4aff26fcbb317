// A small model with random factors, a skewed history and ids that are hard to keep exact.

import { sharedFloat32 } from '../../common/shared-memory.js';
import { parseRunConfig } from '../../coordinator/plan/run-config.js';
import type { ModelContents } from '../../coordinator/registry/model-folder.js';
import type { Csr } from '../../models/csr.js';

/** Ids as platforms really have them, and worse. They become the first rows of the items or users. */
export const HARD_IDS = [
  '007',
  'course-v1:TsinghuaX+30240184+2015_T2',
  'a,b',
  'say "hi"',
  '=1+1',
  '+7',
  '-7',
  '@cmd',
  'zwölf/ü %2F',
  '学习',
  '🎓',
  ' padded ',
  'line\nbreak',
  'carriage\rreturn',
];

export interface SmallModelOptions {
  users?: number;
  items?: number;
  factors?: number;
  seed?: number;
  version?: string;
  /** Users with these rows took nothing. */
  emptyRows?: number[];
}

export function smallModel(options: SmallModelOptions = {}): ModelContents {
  const { users = 60, items = 41, factors = 7, seed = 1, version = 'v1', emptyRows = [3] } = options;
  const next = mulberry32(seed);
  const randomTable = (rows: number) => sharedFloat32(rows * factors).map(() => next() * 2 - 1);
  const itemIds = Array.from({ length: items }, (_, row) => HARD_IDS[row] ?? `course ${row}`);
  return {
    version,
    runId: 'run-1',
    createTime: new Date('2026-01-02T03:04:05.678Z'),
    config: parseRunConfig({ 'ials.factors': factors }),
    datasetFingerprint: 'f'.repeat(64),
    synthetic: true,
    userIds: Array.from({ length: users }, (_, row) => HARD_IDS[row] ?? `user ${row}`),
    items: {
      ids: itemIds,
      titles: itemIds.map((id, row) => (row % 5 === 4 ? null : `Title of ${id}`)),
      categories: itemIds.map((_, row) => (row % 3 === 0 ? null : `category ${row % 3}`)),
      columns: { level: itemIds.map((_, row) => (row % 2 === 0 ? 'beginner' : null)) },
    },
    userFactors: randomTable(users),
    itemFactors: randomTable(items),
    history: skewedHistory(users, items, emptyRows, next),
    metrics: { 'recall@20': 0.25 },
  };
}

/** Low item rows are popular; every user takes a few, but those of `emptyRows`. */
function skewedHistory(users: number, items: number, emptyRows: number[], next: () => number): Csr {
  const rows = Array.from({ length: users }, (_, row) => {
    if (emptyRows.includes(row)) return [];
    const taken = new Set<number>();
    for (let draw = 0; draw < 1 + (row % 6); draw++) taken.add(Math.floor(next() ** 2 * items));
    return [...taken].sort((a, b) => a - b);
  });
  const ptr = new Int32Array(users + 1);
  rows.forEach((row, at) => {
    ptr[at + 1] = ptr[at]! + row.length;
  });
  return { rows: users, cols: items, ptr, idx: Int32Array.from(rows.flat()) };
}

/** A small seeded generator, independent of the one in common/random.ts. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
