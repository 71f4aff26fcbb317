// A dataset folder: what is in it, that any change to it is found, and that the same input gives the same bytes.

import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Dataset, openDataset, parseManifest, parseShard } from '../../datasets/dataset.js';
import { importInteractions } from '../../datasets/import/import-interactions.js';
import { failureOf, scratchFolder } from './scratch.js';

const scratch = await scratchFolder();
const rows = Array.from(
  { length: 900 },
  (_, n) => `u${(n * 37) % 101},i${(n * n) % 53},${n % 7},${1000 - n}`,
);
const file = await scratch.file('in.csv', `user_id,item_id,value,time\n${rows.join('\n')}\n`);
const items = await scratch.file('items.csv', 'item_id,title\ni0,Zero\ni4,Vier\n');
const dataset = await scratch.import(file, { items });
const files = Object.keys(dataset.manifest.files);

describe('opening', () => {
  it('nothing, a file, or a folder without a manifest says there is no dataset', async () => {
    const nothing = await failureOf(openDataset(scratch.path('nothing')));
    expect(nothing).toMatchObject({ name: 'NotFoundError', code: 'STOA_NOT_FOUND_DATASET', exitCode: 2 });
    expect(nothing.message).toContain(
      `no dataset at ${scratch.path('nothing')}: there is nothing of that name`,
    );
    expect((await failureOf(openDataset(file))).message).toContain('it is a file, not a dataset folder');
    const half = damagedCopy((folder) => rmSync(path.join(folder, 'manifest.json')));
    expect((await failureOf(openDataset(half))).message).toContain('has no manifest.json');
  });

  it.each(files)('a folder without %s names it', async (name) => {
    const folder = damagedCopy((copy) => rmSync(path.join(copy, name)));
    const error = await failureOf(openDataset(folder));
    expect(error).toMatchObject({ name: 'CorruptError', code: 'STOA_TORN', exitCode: 2 });
    expect(error.message).toContain(`${path.join(folder, name)} is missing`);
  });

  it.each(files)('a folder where %s was cut off names it', async (name) => {
    const folder = damagedCopy((copy) => {
      const { size } = statSync(path.join(copy, name));
      truncateSync(path.join(copy, name), size - 1);
    });
    const error = await failureOf(openDataset(folder));
    expect(error).toMatchObject({ code: 'STOA_TORN' });
    expect(error.message).toContain(path.join(folder, name));
  });

  it.each(files)('one flipped bit in %s is found when it is read and when all is verified', async (name) => {
    const folder = damagedCopy((copy) => flipBit(path.join(copy, name)));
    for (const call of [
      () => openDataset(folder, { verify: 'all' }),
      () => openDataset(folder).then(readAll),
    ]) {
      const error = await failureOf(call());
      expect(error).toMatchObject({ name: 'CorruptError', code: 'STOA_CHECKSUM', exitCode: 2 });
      expect(error.message).toContain(path.join(folder, name));
    }
  });

  it('a flipped bit anywhere in the manifest is found', async () => {
    const { length } = dataset.manifestBytes;
    for (let at = 0; at < length; at += 13) {
      const bytes = Buffer.from(dataset.manifestBytes);
      bytes[at]! ^= 1;
      expect(() => parseManifest(bytes, 'DIR/manifest.json'), `byte ${at}`).toThrow(/^DIR\/manifest\.json /);
    }
  });

  it('another version of the format says which', async () => {
    const folder = damagedCopy((copy) => {
      const text = readFileSync(path.join(copy, 'manifest.json'), 'utf8');
      writeFileSync(path.join(copy, 'manifest.json'), text.replace('"version": 1', '"version": 7'));
    });
    const error = await failureOf(openDataset(folder));
    expect(error).toMatchObject({ name: 'StateError', code: 'STOA_VERSION', exitCode: 2 });
    expect(error.message).toContain(
      `${path.join(folder, 'manifest.json')} has dataset format version 7, this Stoa reads version 1`,
    );
  });
});

describe('the folder', () => {
  it('has the files of the manifest and no others', () => {
    const found = readdirSync(dataset.dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(dataset.dir, path.join(entry.parentPath, entry.name)));
    expect(found.sort()).toEqual(['manifest.json', ...files].sort());
  });

  it('is the same, byte by byte, when the data are imported again, with other threads and from another place', async () => {
    const elsewhere = scratch.path('elsewhere');
    cpSync(file, path.join(elsewhere, 'in.csv'));
    for (const [name, threads] of [
      [file, 1],
      [path.join(elsewhere, 'in.csv'), 3],
    ] as const) {
      const out = scratch.freshOut();
      const report = await importInteractions({ files: [name], out, items, threads });
      expect(report.fingerprint).toBe(dataset.fingerprint);
      for (const part of ['manifest.json', ...files]) {
        expect(
          readFileSync(path.join(out, part)).equals(readFileSync(path.join(dataset.dir, part))),
          part,
        ).toBe(true);
      }
    }
  });

  it('holds both orientations of one matrix, in shards without gaps', async () => {
    const users = await dataset.loadCsr('users');
    const byItem = await dataset.loadCsr('items');
    const seen = new Set<string>();
    for (let u = 0; u < users.rows; u++) {
      for (let k = users.ptr[u]!; k < users.ptr[u + 1]!; k++)
        seen.add(`${u},${users.idx[k]},${users.values![k]}`);
    }
    let matched = 0;
    for (let i = 0; i < byItem.rows; i++) {
      for (let k = byItem.ptr[i]!; k < byItem.ptr[i + 1]!; k++)
        if (seen.has(`${byItem.idx[k]},${i},${byItem.values![k]}`)) matched++;
    }
    expect(matched).toBe(dataset.manifest.interactions);
    expect(seen.size).toBe(matched);
    for (const side of ['users', 'items'] as const) {
      let next = 0;
      for (const shard of dataset.manifest.shards[side]) {
        expect(shard.rowStart).toBe(next);
        expect(shard.rowEnd).toBeGreaterThan(shard.rowStart);
        next = shard.rowEnd;
      }
      expect(next).toBe(dataset.manifest[side]);
      expect(dataset.manifest.shards[side]).toHaveLength(6);
    }
  });

  it('counts the entries of each row, and gives times in both orientations', async () => {
    const users = await dataset.loadCsr('users');
    const byItem = await dataset.loadCsr('items');
    expect([...(await dataset.rowCounts('items'))]).toEqual(
      Array.from({ length: byItem.rows }, (_, i) => byItem.ptr[i + 1]! - byItem.ptr[i]!),
    );
    const times = (await dataset.loadTimes('users'))!;
    const timesByItem = (await dataset.loadTimes('items'))!;
    for (let u = 0; u < users.rows; u++) {
      for (let k = users.ptr[u]!; k < users.ptr[u + 1]!; k++) {
        const item = users.idx[k]!;
        const at = byItem.idx.indexOf(u, byItem.ptr[item]!);
        expect(timesByItem[at]).toBe(times[k]);
      }
    }
  });
});

describe('a shard', () => {
  it('is read as views of one shared buffer, without a copy', async () => {
    const { csr, times } = await dataset.loadShard('users', 2);
    expect(csr.ptr.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(new Set([csr.ptr.buffer, csr.idx.buffer, csr.values!.buffer]).size).toBe(1);
    expect(times!.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  it('can be read from bytes that came from elsewhere, which must be those of the manifest', async () => {
    const entry = dataset.manifest.shards.items[3]!;
    const bytes = readFileSync(path.join(dataset.dir, entry.file));
    const shard = parseShard(bytes, entry, 'items', 3, dataset.manifest);
    expect(shard.csr.idx.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(shard.csr).toEqual((await dataset.loadShard('items', 3)).csr);
    bytes[bytes.length >> 1]! ^= 8;
    expect(() => parseShard(bytes, entry, 'items', 3, dataset.manifest)).toThrow(
      /^by-item\/0003\.arrow does not match/,
    );
  });
});

async function readAll(opened: Dataset): Promise<void> {
  await opened.userIds();
  await opened.items();
  await opened.loadCsr('users');
  await opened.loadCsr('items');
}

let copies = 0;

function damagedCopy(damage: (folder: string) => void): string {
  const folder = scratch.path(`copy-${++copies}`);
  cpSync(dataset.dir, folder, { recursive: true });
  damage(folder);
  return folder;
}

function flipBit(name: string): void {
  const bytes = readFileSync(name);
  bytes[Math.floor(bytes.length * 0.6)]! ^= 4;
  writeFileSync(name, bytes);
}
