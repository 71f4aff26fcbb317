import { realpath } from 'node:fs/promises';
import { clearReplacement, replaceFolder, requireNothingElse } from '../common/replace-folder.js';
import { sharedFloat32, sharedInt32 } from '../common/shared-memory.js';
import type { Csr } from '../models/csr.js';
import { BuildPool } from './build-pool.js';
import { transpose } from './csr/transpose.js';
import { type Dataset, openDataset } from './dataset.js';
import { MANIFEST_FILE } from './manifest.js';
import { writeDataset } from './write-dataset.js';

const FILES = [MANIFEST_FILE, 'users.arrow', 'items.arrow', 'by-user', 'by-item'];

export interface ForgottenUser {
  /** Interactions that are gone. */
  interactions: number;
  /** Items that are gone with them. */
  items: number;
}

/**
 * Removes a user with all interactions from a dataset folder. Its files become those of a dataset that never had the
 * user: rows move up, ranges are found anew. The manifest goes on to say which files were imported.
 *
 * An item that the user alone took goes too, for its name would tell of the user; unless the dataset has items that
 * nobody took: they are of a catalogue then, and the absence would tell.
 *
 * Killed at any moment, the folder is the old or the new one (`replaceFolder`). Nobody else may write there meanwhile.
 *
 * @returns undefined: the dataset has no such user; what an earlier attempt left beside it is removed.
 * @throws {CorruptError} `STOA_TORN`, `STOA_CHECKSUM`: damaged, nothing was touched; errors of `openDataset`.
 * @throws {StateError} `STOA_ERASURE`: other files are there, too.
 * @throws {SystemError} `STOA_DISK_FULL`, `STOA_ACCESS`: the folder is as it was.
 */
export async function forgetUser(dir: string, userId: string): Promise<ForgottenUser | undefined> {
  // Every file is read: a damage elsewhere must not be found when the old files are gone.
  const dataset = await openDataset(dir, { verify: 'all' });
  const folder = await realpath(dir);
  await clearReplacement(folder);
  const userIds = await dataset.userIds();
  const row = userIds.indexOf(userId);
  if (row < 0) return undefined;
  await requireNothingElse(folder, FILES);
  const { csr, times } = await dataset.loadTimedUsers();
  const kept = keptItems(csr, row);
  const rest = withoutRow(csr, row, { kept, times });
  await replaceFolder(folder, (temporary) => writeRest(temporary, { dataset, userIds, row, kept, ...rest }));
  return {
    interactions: csr.idx.length - rest.users.idx.length,
    items: csr.cols - kept.length,
  };
}

interface Rest {
  dataset: Dataset;
  userIds: readonly string[];
  row: number;
  kept: Int32Array;
  users: Csr;
  times?: Float64Array;
}

async function writeRest(folder: string, { dataset, userIds, row, kept, users, times }: Rest): Promise<void> {
  const { manifest } = dataset;
  const items = await dataset.items();
  const pick = <T>(column: readonly T[]): T[] => Array.from(kept, (item) => column[item]!);
  const itemColumns = Object.fromEntries(
    Object.entries(items.columns).map(([name, column]) => [name, pick(column)]),
  );
  const pool = new BuildPool(1);
  try {
    await writeDataset(
      folder,
      {
        userIds: userIds.toSpliced(row, 1),
        itemIds: pick(items.ids),
        itemColumns,
        timeKind: manifest.timeKind,
        synthetic: manifest.synthetic,
        source: manifest.source,
        split: manifest.split,
        users,
        times,
        items: transpose(users).csr,
      },
      pool,
    );
  } finally {
    await pool.close();
  }
}

/** Rows of the items that stay, ascending. */
function keptItems(csr: Csr, row: number): Int32Array {
  const takers = new Int32Array(csr.cols);
  for (const item of csr.idx) takers[item]!++;
  const all = Int32Array.from(takers.keys());
  if (takers.includes(0)) return all;
  for (let e = csr.ptr[row]!; e < csr.ptr[row + 1]!; e++) takers[csr.idx[e]!]!--;
  return all.filter((item) => takers[item]! > 0);
}

function withoutRow(
  csr: Csr,
  row: number,
  { kept, times }: { kept: Int32Array; times?: Float64Array },
): { users: Csr; times?: Float64Array } {
  const places = new Int32Array(csr.cols);
  kept.forEach((item, place) => {
    places[item] = place;
  });
  const [from, to] = [csr.ptr[row]!, csr.ptr[row + 1]!];
  const entries = csr.idx.length - (to - from);
  const ptr = sharedInt32(csr.rows);
  for (let at = 0; at < csr.rows; at++) ptr[at] = at <= row ? csr.ptr[at]! : csr.ptr[at + 1]! - (to - from);
  const idx = sharedInt32(entries);
  for (let at = 0; at < entries; at++) idx[at] = places[csr.idx[at < from ? at : at + to - from]!]!;
  const values = csr.values && cutOut(csr.values, sharedFloat32(entries), from, to);
  return {
    users: { rows: csr.rows - 1, cols: kept.length, ptr, idx, values },
    ...(times === undefined ? {} : { times: cutOut(times, new Float64Array(entries), from, to) }),
  };
}

function cutOut<T extends Float32Array | Float64Array>(all: T, rest: T, from: number, to: number): T {
  rest.set(all.subarray(0, from));
  rest.set(all.subarray(to), from);
  return rest;
}
