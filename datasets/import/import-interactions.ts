// `stoa data import`: files of interactions become a dataset folder.

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { explainDisk, publishFolder, refuseExisting } from '../../common/atomic-files.js';
import { BuildPool } from '../build-pool.js';
import { buildRows } from '../csr/build-rows.js';
import { DatasetWriter } from '../dataset-writer.js';
import type { FileEntry, MergeRule } from '../manifest.js';
import { checkBadRows } from './check-bad-rows.js';
import type { ChosenColumns } from './choose-columns.js';
import { DuckdbSession } from './duckdb-session.js';
import { findInputFiles, type InputFile } from './input-files.js';
import { type ItemsFile, matchItems, readItemsFile } from './items-file.js';
import { type ImportPlan, planImport } from './plan-import.js';
import { type ReadFiles, readAllFiles } from './read-all-files.js';
import type { TimeKind } from './scan-query.js';
import { notWholeGzip } from './text-records.js';

export interface ImportProgress {
  phase: string;
  done: number;
  total?: number;
}

export interface ImportOptions {
  /** Files, globs, folders. */
  files: string[];
  /** Folder to make. */
  out: string;
  userCol?: string;
  itemCol?: string;
  valueCol?: string;
  timeCol?: string;
  /** @default `sum` where there is a value, else every pair counts once */
  merge?: 'sum' | 'max' | 'last' | 'count';
  /** File with a row for each item. */
  items?: string;
  itemsIdCol?: string;
  /** Greatest share of bad rows, 0 to 1. @default 0.01 */
  maxBad?: number;
  onProgress?: (progress: ImportProgress) => void;
  /** Labels the data as made up; files made by `data synthesize` say so themselves. */
  synthetic?: boolean;
  /** Memory of DuckDB before it spills, in MB. @default 400 */
  memoryLimitMb?: number;
  /** Threads that read and sort. @default one for each core */
  threads?: number;
}

export interface ImportReport {
  out: string;
  fingerprint: string;
  users: number;
  items: number;
  interactions: number;
  /** Bad ones included. */
  rowsRead: number;
  rowsRejected: number;
  duplicatesMerged: number;
  rejectsFile?: string;
  /** Items of the interactions that the items file has; absent without an items file. */
  itemsMatched?: number;
  itemsUnmatched?: number;
  seconds: number;
  /** Which column was taken for what, and how repeats were merged. */
  columns: ChosenColumns;
  timeKind?: TimeKind;
  merge: MergeRule;
  synthetic: boolean;
}

const MAX_BAD = 0.01;
/** Fewer rows than this are sorted sooner than threads start. */
const THREADED_ROWS_MIN = 500_000;
/** Rows between two calls of `onProgress`. */
const PROGRESS_ROWS = 100_000;

/**
 * Imports interactions. Nothing is at `out` until all of it is; bad rows are listed in `OUT.rejects.csv`. The same
 * input gives the same bytes, whatever the number of threads.
 *
 * Memory: 16 bytes a row and 12 more while sorting (8 and 4 without values and times; 4 more each where times are not
 * whole numbers of 32 bits), the ids, and DuckDB's limit.
 *
 * @throws {StateError} `STOA_EXISTS`; {NotFoundError} `STOA_NOT_FOUND_FILE`; {DataError} `STOA_DATA_*`;
 *   {UsageError} `STOA_USAGE`; {SystemError} `STOA_DISK_FULL`, `STOA_ACCESS`.
 */
export async function importInteractions(options: ImportOptions): Promise<ImportReport> {
  const startMs = performance.now();
  const out = path.resolve(options.out);
  await refuseExisting(out);
  const files = await findInputFiles(options.files);
  const [itemsFile] = options.items === undefined ? [] : await findInputFiles([options.items]);
  await mkdir(path.dirname(out), { recursive: true }).catch((error) => {
    throw explainDisk(error, path.dirname(out));
  });
  const input = await readInput(files, itemsFile, out, options);
  try {
    const rejectsFile = await checkBadRows(input.read.bad, options.out, options.maxBad ?? MAX_BAD);
    const written = await writeOutput(input, out);
    const { plan, read, items } = input;
    return {
      out: options.out,
      ...written,
      rowsRead: read.bad.rowsRead,
      rowsRejected: read.bad.rowsRejected,
      rejectsFile,
      itemsUnmatched: items === undefined ? undefined : written.items - written.itemsMatched!,
      seconds: (performance.now() - startMs) / 1000,
      columns: plan.columns,
      timeKind: plan.timeKind,
      merge: plan.merge,
      synthetic: plan.isSynthetic,
    };
  } finally {
    await input.pool.close();
  }
}

interface Input {
  plan: ImportPlan;
  read: ReadFiles;
  items?: ItemsFile;
  /** Of the compressed files. */
  hashes: FileHashes;
  /** To be closed by the caller. */
  pool: BuildPool;
  onProgress?: (progress: ImportProgress) => void;
}

/** All that needs DuckDB, which is closed and has given back its memory when this returns. */
async function readInput(
  files: InputFile[],
  itemsFile: InputFile | undefined,
  out: string,
  options: ImportOptions,
): Promise<Input> {
  const { memoryLimitMb, threads, onProgress } = options;
  const allowed = [...files, ...(itemsFile === undefined ? [] : [itemsFile])];
  const scratchParent = path.dirname(out);
  const session = await DuckdbSession.open({
    files: allowed.map((file) => file.path),
    scratchParent,
    memoryLimitMb,
    threads,
  });
  let pool: BuildPool | undefined;
  try {
    const plan = await planImport(files, options, session);
    pool = new BuildPool(plan.rowsEstimate < THREADED_ROWS_MIN ? 1 : threads);
    // DuckDB unpacks on one core, so that another is free for this.
    const hashing = hashFiles(
      allowed.filter((file) => file.isGzip),
      pool,
    );
    // Awaited below; what goes wrong while reading is reported first.
    hashing.catch(() => undefined);
    const items =
      itemsFile === undefined ? undefined : await readItemsFile(session, itemsFile, options.itemsIdCol);
    let reported = 0;
    const onRows = (done: number) => {
      if (done < reported + PROGRESS_ROWS) return;
      reported = done;
      onProgress?.({ phase: 'reading', done, total: Math.max(done, plan.rowsEstimate) });
    };
    const read = await readAllFiles(session, plan, { threaded: pool.threads > 1, onRows });
    return { plan, read, items, hashes: await hashing, pool, onProgress };
  } catch (error) {
    await pool?.close();
    throw error;
  } finally {
    await session.close();
  }
}

/** By path. */
type FileHashes = ReadonlyMap<string, FileEntry>;

/** @throws {DataError} `STOA_DATA_FILE`: a compressed file is not whole. */
async function hashFiles(files: readonly InputFile[], pool: BuildPool): Promise<FileHashes> {
  const facts = await pool.files(
    files.map(({ path: file, isGzip }) => ({ kind: 'hash-file', file, isGzip })),
  );
  const damaged = files.find((_, index) => facts[index]!.isDamaged);
  if (damaged !== undefined) throw notWholeGzip(damaged);
  return new Map(
    files.map((file, index) => [file.path, { bytes: file.bytes, sha256: facts[index]!.sha256 }]),
  );
}

interface Written {
  fingerprint: string;
  users: number;
  items: number;
  interactions: number;
  duplicatesMerged: number;
  itemsMatched?: number;
}

async function writeOutput(input: Input, out: string): Promise<Written> {
  const { plan, read, pool, onProgress } = input;
  const { table, users, items } = read;
  const rows = table.length;
  onProgress?.({ phase: 'sorting', done: 0, total: rows });
  const files = plan.shapes.map(({ file }) => file);
  // These compete with nobody here: the threads that write wait for the disk.
  const hashing = hashFiles(
    files.filter((file) => !file.isGzip),
    pool,
  );
  hashing.catch(() => undefined);
  const matched = input.items === undefined ? undefined : matchItems(input.items, items.sorted);
  return publishFolder(out, async (temporary) => {
    const writer = new DatasetWriter(temporary, pool);
    try {
      const duplicatesMerged = await buildRows(table, users.rowOf, items.rowOf, plan.merge, pool, writer);
      onProgress?.({ phase: 'writing', done: 0, total: rows });
      const hashes = new Map([...input.hashes, ...(await hashing)]);
      const { manifest, fingerprint } = await writer.finish({
        userIds: users.sorted,
        itemIds: items.sorted,
        itemColumns: matched?.columns ?? {},
        timeKind: plan.timeKind,
        synthetic: plan.isSynthetic,
        source: {
          merge: plan.merge,
          columns: plan.columns,
          files: files.map((file) => ({ name: file.name, ...hashes.get(file.path)! })),
          rowsRead: read.bad.rowsRead,
          rowsRejected: read.bad.rowsRejected,
          duplicatesMerged,
        },
      });
      onProgress?.({ phase: 'writing', done: rows, total: rows });
      const { users: userCount, items: itemCount, interactions } = manifest;
      return {
        fingerprint,
        users: userCount,
        items: itemCount,
        interactions,
        duplicatesMerged,
        itemsMatched: matched?.matched,
      };
    } finally {
      await writer.settle();
    }
  });
}
