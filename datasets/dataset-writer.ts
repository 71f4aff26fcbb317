// Fills a folder with the files of a dataset. The shards of a side are written as soon as its rows are known, while
// others are still being sorted.

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { sha256 } from '../common/checksums.js';
import { assert } from '../common/errors.js';
import { sharedInt32 } from '../common/shared-memory.js';
import type { Csr, Side } from '../models/csr.js';
import type { BuildPool } from './build-pool.js';
import { narrowTimes, type TimeColumn } from './csr/time-column.js';
import { encodeDictionary, type TextColumn } from './dictionary-file.js';
import type { FileFacts, FileTask } from './file-task.js';
import {
  type DatasetManifest,
  type DatasetSource,
  type FileEntry,
  formatManifest,
  MANIFEST_FILE,
  type ShardEntry,
} from './manifest.js';
import { cutShards } from './shard-cuts.js';
import { shardFileName } from './shard-file.js';

export interface DatasetDetails {
  /** Row → id, sorted bytewise. */
  userIds: readonly string[];
  itemIds: readonly string[];
  /** Columns of the items file, by item row. */
  itemColumns: Record<string, TextColumn>;
  timeKind?: 'number' | 'timestamp';
  synthetic: boolean;
  source: DatasetSource;
  split?: DatasetManifest['split'];
}

export interface WrittenDataset {
  manifest: DatasetManifest;
  /** SHA-256 of manifest.json. */
  fingerprint: string;
}

interface WrittenSide {
  interactions: number;
  hasValues: boolean;
  hasTimes: boolean;
  shards: ShardEntry[];
  facts: FileFacts[];
}

/**
 * Writes a dataset into a folder that is there and empty; the caller makes it appear whole (publishFolder). Same
 * contents, same bytes. Call `writeSide` for both sides, then `finish`.
 */
export class DatasetWriter {
  private readonly dir: string;
  private readonly pool: BuildPool;
  private readonly sides: Partial<Record<Side, Promise<WrittenSide>>> = {};

  constructor(dir: string, pool: BuildPool) {
    this.dir = dir;
    this.pool = pool;
  }

  /**
   * Starts to write the rows of a side, which must not change any more.
   *
   * @param times parallel to `csr.idx`; users' side only.
   */
  writeSide(side: Side, csr: Csr, times?: TimeColumn): void {
    assert(this.sides[side] === undefined, `the ${side} are written once`);
    const writing = this.writeShards(side, csr, times === undefined ? undefined : narrowTimes(times));
    // Awaited by `finish`; until then a failure must not count as unhandled.
    writing.catch(() => undefined);
    this.sides[side] = writing;
  }

  /** Waits until nothing is being written any more, whether it went well or not. */
  async settle(): Promise<void> {
    await Promise.allSettled(Object.values(this.sides));
  }

  /** Writes the rest. */
  async finish(details: DatasetDetails): Promise<WrittenDataset> {
    const files: Record<string, FileEntry> = {};
    await this.writeDictionary('users.arrow', details.userIds, {}, files);
    await this.writeDictionary('items.arrow', details.itemIds, details.itemColumns, files);
    const users = await this.sides.users!;
    const items = await this.sides.items!;
    assert(users.interactions === items.interactions, 'the two orientations disagree');
    for (const { shards, facts } of [users, items]) {
      shards.forEach((shard, index) => {
        const fact = facts[index]!;
        files[shard.file] = { bytes: fact.bytes, sha256: fact.sha256 };
      });
    }
    const manifest: DatasetManifest = {
      format: 'stoa-dataset',
      version: 1,
      users: details.userIds.length,
      items: details.itemIds.length,
      interactions: users.interactions,
      hasValues: users.hasValues,
      hasTimes: users.hasTimes,
      timeKind: users.hasTimes ? (details.timeKind ?? 'number') : undefined,
      timeRange: unite(users.facts.map((fact) => fact.timeRange)),
      valueRange: unite(users.facts.map((fact) => fact.valueRange)),
      synthetic: details.synthetic,
      source: details.source,
      split: details.split,
      shards: { users: users.shards, items: items.shards },
      files,
    };
    const bytes = formatManifest(manifest);
    await writeFile(path.join(this.dir, MANIFEST_FILE), bytes);
    return { manifest, fingerprint: sha256(bytes) };
  }

  private async writeShards(side: Side, csr: Csr, times?: TimeColumn): Promise<WrittenSide> {
    await mkdir(path.join(this.dir, path.dirname(shardFileName(side, 0))));
    const shards = cutShards(csr.ptr).map(({ rowStart, rowEnd }, index): ShardEntry => {
      const interactions = csr.ptr[rowEnd]! - csr.ptr[rowStart]!;
      return { file: shardFileName(side, index), rowStart, rowEnd, interactions };
    });
    const tasks = shards.map(({ file, rowStart, rowEnd }): FileTask => {
      const part = rowsOf(csr, rowStart, rowEnd);
      const timesPart = times?.subarray(csr.ptr[rowStart], csr.ptr[rowEnd]);
      return { kind: 'write-shard', file: path.join(this.dir, file), side, csr: part, times: timesPart };
    });
    return {
      interactions: csr.idx.length,
      hasValues: csr.values !== undefined,
      hasTimes: times !== undefined,
      shards,
      facts: await this.pool.files(tasks),
    };
  }

  private async writeDictionary(
    file: string,
    ids: readonly string[],
    columns: Record<string, TextColumn>,
    files: Record<string, FileEntry>,
  ): Promise<void> {
    const bytes = encodeDictionary(ids, columns);
    await writeFile(path.join(this.dir, file), bytes);
    files[file] = { bytes: bytes.length, sha256: sha256(bytes) };
  }
}

/** Rows `rowStart` to `rowEnd`: `ptr` copied and rebased, the rest views. */
function rowsOf({ cols, ptr, idx, values }: Csr, rowStart: number, rowEnd: number): Csr {
  const [from, to] = [ptr[rowStart]!, ptr[rowEnd]!];
  const rows = rowEnd - rowStart;
  const rebased = sharedInt32(rows + 1);
  for (let row = 0; row <= rows; row++) rebased[row] = ptr[rowStart + row]! - from;
  return { rows, cols, ptr: rebased, idx: idx.subarray(from, to), values: values?.subarray(from, to) };
}

/** The range of all from the ranges of the shards. */
function unite(ranges: readonly ([number, number] | undefined)[]): [number, number] | undefined {
  const known = ranges.filter((range) => range !== undefined);
  if (known.length === 0) return undefined;
  return [Math.min(...known.map(([least]) => least)), Math.max(...known.map(([, greatest]) => greatest))];
}
