// A dataset folder, opened: manifest.json, users.arrow, items.arrow and the CSR shards of both orientations.

import { open, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { sha256, sha256File } from '../common/checksums.js';
import { assert, CorruptError, NotFoundError } from '../common/errors.js';
import { finishReplacement } from '../common/replace-folder.js';
import { sharedBytes, sharedFloat32, sharedInt32 } from '../common/shared-memory.js';
import { Slots } from '../common/slots.js';
import type { Csr, Side } from '../models/csr.js';
import { transpose } from './csr/transpose.js';
import { decodeDictionary } from './dictionary-file.js';
import { type DatasetManifest, MANIFEST_FILE, parseManifest } from './manifest.js';
import { type CsrShard, checkFile, parseShard } from './shard-file.js';
import { resolveSplit } from './split/resolve-split.js';

export type { DatasetManifest, ShardEntry } from './manifest.js';
export { parseManifest } from './manifest.js';
export { type CsrShard, parseShard } from './shard-file.js';

/** What is known of the items, by item row. */
export interface ItemsTable {
  ids: string[];
  titles?: (string | null)[];
  categories?: (string | null)[];
  /** Every column of the items file but the id, under its own name. */
  columns: Record<string, (string | null)[]>;
}

/** Column names that hold a title, best first; compared in lower case. */
const TITLE_COLUMNS = ['title', 'name', 'course_name', 'course_title', 'item_title'];
const CATEGORY_COLUMNS = [
  'category',
  'categories',
  'fields',
  'field',
  'subject',
  'subjects',
  'activity_type',
];

/** A dataset folder. Made by `openDataset`; every read checks the file's checksum. */
export class Dataset {
  readonly dir: string;
  readonly manifest: DatasetManifest;
  readonly manifestBytes: Uint8Array;
  /** SHA-256 of manifest.json, which names the SHA-256 of every other file: equal means equal data. */
  readonly fingerprint: string;
  /** One file at a time is read into memory that is used again: what it would leave behind is as large as the data. */
  readonly #reading = new Slots(1);
  #scratch = sharedBytes(0);

  constructor(dir: string, manifestBytes: Uint8Array) {
    this.dir = dir;
    this.manifestBytes = manifestBytes;
    this.manifest = parseManifest(manifestBytes, path.join(dir, MANIFEST_FILE));
    this.fingerprint = sha256(manifestBytes);
  }

  /** One shard, its arrays over one SharedArrayBuffer. @throws {CorruptError} naming the file. */
  async loadShard(side: Side, index: number): Promise<CsrShard> {
    const entry = this.manifest.shards[side][index];
    assert(entry !== undefined, `${this.dir} has no ${side} shard ${index}`);
    const bytes = await this.readShared(entry.file);
    return parseShard(bytes, entry, side, index, this.manifest, this.dir);
  }

  /** One shard without times, in memory of its own that is no larger than its rows: for who keeps it. */
  async loadRows(side: Side, index: number): Promise<CsrShard> {
    return this.#withRows(side, index, ({ csr, ...shard }) => {
      const ptr = sharedInt32(csr.ptr.length);
      ptr.set(csr.ptr);
      const idx = sharedInt32(csr.idx.length);
      idx.set(csr.idx);
      const values = csr.values && sharedFloat32(csr.values.length);
      values?.set(csr.values!);
      return { ...shard, csr: { ...csr, ptr, idx, values } };
    });
  }

  /** All rows of a side over SharedArrayBuffers. Memory: 4 bytes an interaction and 4 more with values. */
  async loadCsr(side: Side): Promise<Csr> {
    return (await this.loadSide(side, false)).csr;
  }

  /** Times parallel to `loadCsr(side).idx`, or undefined when the data have none. */
  async loadTimes(side: Side): Promise<Float64Array | undefined> {
    if (!this.manifest.hasTimes) return undefined;
    const users = await this.loadSide('users', true);
    if (side === 'users') return users.times;
    return transpose(users.csr, users.times).times;
  }

  /** Users' rows with their times, read once. */
  async loadTimedUsers(): Promise<{ csr: Csr; times?: Float64Array }> {
    return this.loadSide('users', this.manifest.hasTimes);
  }

  /** Entries of each row of a side, [rows]. */
  async rowCounts(side: Side): Promise<Int32Array> {
    const counts = sharedInt32(this.manifest[side]);
    for (let index = 0; index < this.manifest.shards[side].length; index++) {
      await this.#withRows(side, index, ({ rowStart, csr }) => {
        for (let row = 0; row < csr.rows; row++) counts[rowStart + row] = csr.ptr[row + 1]! - csr.ptr[row]!;
      });
    }
    return counts;
  }

  /** Row → id, sorted bytewise. */
  async userIds(): Promise<string[]> {
    return (await this.dictionary('users.arrow')).ids;
  }

  /** Row → id, sorted bytewise. */
  async itemIds(): Promise<string[]> {
    return (await this.dictionary('items.arrow')).ids;
  }

  async items(): Promise<ItemsTable> {
    const { ids, columns } = await this.dictionary('items.arrow');
    return {
      ids,
      titles: firstColumn(columns, TITLE_COLUMNS),
      categories: firstColumn(columns, CATEGORY_COLUMNS),
      columns,
    };
  }

  private async loadSide(side: Side, wantTimes: boolean): Promise<{ csr: Csr; times?: Float64Array }> {
    const { manifest } = this;
    const rows = manifest[side];
    const ptr = sharedInt32(rows + 1);
    const idx = sharedInt32(manifest.interactions);
    const values = manifest.hasValues ? sharedFloat32(manifest.interactions) : undefined;
    const times = wantTimes ? new Float64Array(new SharedArrayBuffer(manifest.interactions * 8)) : undefined;
    let base = 0;
    for (let index = 0; index < manifest.shards[side].length; index++) {
      const take = (shard: CsrShard): void => {
        for (let row = 0; row < shard.csr.rows; row++) ptr[shard.rowStart + row] = base + shard.csr.ptr[row]!;
        idx.set(shard.csr.idx, base);
        if (shard.csr.values !== undefined) values?.set(shard.csr.values, base);
        if (shard.times !== undefined) times?.set(shard.times, base);
        base += shard.csr.idx.length;
      };
      if (wantTimes) take(await this.loadShard(side, index));
      else await this.#withRows(side, index, take);
    }
    ptr[rows] = base;
    const cols = side === 'users' ? manifest.items : manifest.users;
    return { csr: { rows, cols, ptr, idx, values }, times };
  }

  /** Reads a shard without times into memory that is used again: `use` must keep nothing of it. */
  #withRows<T>(side: Side, index: number, use: (shard: CsrShard) => T): Promise<T> {
    return this.#reading.hold(async () => {
      const entry = this.manifest.shards[side][index];
      assert(entry !== undefined, `${this.dir} has no ${side} shard ${index}`);
      const { bytes: size } = this.manifest.files[entry.file]!;
      if (this.#scratch.length < size) this.#scratch = sharedBytes(size);
      const bytes = await this.readShared(entry.file, this.#scratch);
      return use(parseShard(bytes, entry, side, index, this.manifest, this.dir, { withTimes: false }));
    });
  }

  private async dictionary(file: string) {
    const bytes = await readFile(path.join(this.dir, file)).catch(rethrowMissing(path.join(this.dir, file)));
    checkFile(bytes, file, this.manifest, path.join(this.dir, file));
    return decodeDictionary(bytes);
  }

  /** A file's bytes, in `into` where they fit there. */
  private async readShared(file: string, into?: Uint8Array): Promise<Uint8Array> {
    const full = path.join(this.dir, file);
    const handle = await open(full).catch(rethrowMissing(full));
    try {
      const { size } = await handle.stat();
      const bytes = into !== undefined && size <= into.length ? into.subarray(0, size) : sharedBytes(size);
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes;
    } finally {
      await handle.close();
    }
  }
}

/**
 * Opens a dataset folder.
 *
 * @param options.verify `manifest` (default) checks that every file is there and whole in length; `all` also reads
 *   each of them and compares its SHA-256. Reads check it in any case.
 * @throws {NotFoundError} `STOA_NOT_FOUND_DATASET`: no folder, or no manifest in it.
 * @throws {CorruptError} `STOA_TORN`, `STOA_CHECKSUM`: names the file.
 * @throws {StateError} `STOA_VERSION`: written by another version.
 */
export async function openDataset(
  dir: string,
  options: { verify?: 'manifest' | 'all' } = {},
): Promise<Dataset> {
  const dataset = new Dataset(dir, await readManifest(dir));
  for (const [file, entry] of Object.entries(dataset.manifest.files)) {
    const full = path.join(dir, file);
    const { size } = await stat(full).catch(rethrowMissing(full));
    if (size !== entry.bytes) throw torn(full, `has ${size} bytes instead of ${entry.bytes}`);
    if (options.verify === 'all' && (await sha256File(full)) !== entry.sha256) {
      throw new CorruptError(
        'STOA_CHECKSUM',
        `${full} does not match its checksum: it was changed or damaged; import the data again`,
        { fields: { file: full } },
      );
    }
  }
  return dataset;
}

async function readManifest(dir: string): Promise<Uint8Array> {
  try {
    return await readFile(path.join(dir, MANIFEST_FILE));
  } catch (error) {
    if (await finishReplacement(dir)) return readManifest(dir);
    const isFolder = await stat(dir).then(
      (found) => found.isDirectory(),
      () => undefined,
    );
    const { test, train } = await resolveSplit(dir);
    if (test !== undefined) {
      throw new NotFoundError(
        'STOA_NOT_FOUND_DATASET',
        `no dataset at ${dir}: it is a split, with the datasets ${train} and ${test}; name one of them`,
        { fields: { file: dir }, cause: error },
      );
    }
    const reason =
      isFolder === undefined
        ? 'there is nothing of that name'
        : isFolder
          ? `the folder has no ${MANIFEST_FILE}, so it is not a dataset or was not written to its end`
          : 'it is a file, not a dataset folder';
    throw new NotFoundError(
      'STOA_NOT_FOUND_DATASET',
      `no dataset at ${dir}: ${reason}; make one with "stoa data import FILE --out ${dir}"`,
      { fields: { file: dir }, cause: error },
    );
  }
}

function rethrowMissing(file: string): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    if (error.code === 'ENOENT') throw torn(file, 'is missing');
    throw error;
  };
}

function torn(file: string, what: string): CorruptError {
  return new CorruptError('STOA_TORN', `${file} ${what}: the dataset is not whole; import the data again`, {
    fields: { file },
  });
}

function firstColumn<T>(columns: Record<string, T>, names: readonly string[]): T | undefined {
  for (const name of names) {
    const found = Object.keys(columns).find((column) => column.toLowerCase() === name);
    if (found !== undefined) return columns[found];
  }
  return undefined;
}
