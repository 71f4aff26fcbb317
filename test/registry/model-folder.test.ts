// Shows that a model folder gives back exactly what was written, and that nothing else is ever read from it.

import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StoaError } from '../../common/errors.js';
import { openModel, writeModel } from '../../coordinator/registry/model-folder.js';
import { smallModel } from '../support/small-model.js';

const contents = smallModel({ users: 37, items: 29, factors: 5 });
let root: string;
let dir: string;

beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'stoa-'));
  dir = path.join(root, 'model');
  await writeModel(dir, contents);
});

afterAll(() => rm(root, { recursive: true }));

async function failure(promise: Promise<unknown>): Promise<StoaError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StoaError);
  return error as StoaError;
}

describe('a model folder', () => {
  it('gives back ids, factors, history, titles and other columns exactly', async () => {
    const model = await openModel(dir);
    expect(model.userIds).toEqual(contents.userIds);
    expect(model.itemsTable).toEqual(contents.items);
    expect(model.userFactors).toEqual(contents.userFactors);
    expect(model.itemFactors).toEqual(contents.itemFactors);
    expect(model.history.ptr).toEqual(contents.history.ptr);
    expect(model.history.idx).toEqual(contents.history.idx);
    expect(model.history.values).toBeUndefined();
    expect([model.version, model.synthetic, model.factors]).toEqual(['v1', true, 5]);
    expect(model.manifest.config).toEqual(contents.config);
    expect(model.manifest.metrics).toEqual(contents.metrics);
    const tables = [model.userFactors, model.itemFactors, model.history.ptr, model.history.idx];
    expect(tables.every(({ buffer }) => buffer instanceof SharedArrayBuffer)).toBe(true);
  });

  it('keeps the values of interactions where there are some', async () => {
    const values = Float32Array.from(contents.history.idx, (item) => item / 3);
    const folder = path.join(root, 'with-values');
    await writeModel(folder, { ...contents, history: { ...contents.history, values } });
    expect((await openModel(folder)).history.values).toEqual(values);
  });

  it('counts how many users took each item', async () => {
    const { itemCounts } = await openModel(dir);
    const expected = contents.items.ids.map(
      (_, item) => contents.history.idx.filter((i) => i === item).length,
    );
    expect([...itemCounts]).toEqual(expected);
  });

  it('is read from paths that look like globs, partitions or quotes', async () => {
    for (const name of ["it's", 'run[1]', 'seed=1', 'a*b?', 'ü 学']) {
      const folder = path.join(root, 'paths', name);
      await writeModel(folder, contents);
      expect((await openModel(folder)).userIds).toEqual(contents.userIds);
    }
  });

  it('opens by its run folder as well', async () => {
    const run = path.join(root, 'run');
    await mkdir(run);
    await cp(dir, path.join(run, 'model'), { recursive: true });
    expect((await openModel(run)).version).toBe('v1');
  });

  it('is not written over something that is there', async () => {
    const before = await readdir(dir);
    const error = await failure(writeModel(dir, contents));
    expect(error.code).toBe('STOA_EXISTS');
    expect(await readdir(dir)).toEqual(before);
    expect((await readdir(root)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('is not written with a factor that is not finite', async () => {
    const itemFactors = contents.itemFactors.slice();
    itemFactors[5 * 11 + 2] = Number.NaN;
    const folder = path.join(root, 'nan');
    const error = await failure(writeModel(folder, { ...contents, itemFactors }));
    expect(error.code).toBe('STOA_NUMERIC_NOT_FINITE');
    expect(error.message).toContain('item row 11');
    expect(await readdir(root)).not.toContain('nan');
  });
});

describe('openModel refuses', () => {
  it('a folder without a model, and says what to give', async () => {
    const empty = path.join(root, 'empty');
    await mkdir(empty);
    const error = await failure(openModel(empty));
    expect(error.code).toBe('STOA_NOT_FOUND_MODEL');
    expect(error.message).toContain(empty);
    expect(error.message).toContain('model.json');
    await writeFile(path.join(empty, 'run.json'), '{}');
    expect((await failure(openModel(empty))).message).toContain('stoa resume');
  });

  it('another schema version, and names both', async () => {
    const folder = path.join(root, 'version');
    await cp(dir, folder, { recursive: true });
    const file = path.join(folder, 'model.json');
    await writeFile(file, (await readFile(file, 'utf8')).replace('"schemaVersion": 1', '"schemaVersion": 7'));
    const error = await failure(openModel(folder));
    expect(error.code).toBe('STOA_VERSION');
    expect(error.message).toContain(file);
    expect(error.message).toMatch(/version 7.* reads 1/);
  });

  it('one flipped byte anywhere in any file, and names the file', async () => {
    const folder = path.join(root, 'flipped');
    await cp(dir, folder, { recursive: true });
    const names = (await readdir(dir)).sort();
    expect(names).toHaveLength(5);
    for (const name of names) {
      const file = path.join(folder, name);
      const original = await readFile(file);
      const positions = Array.from({ length: 12 }, (_, step) =>
        Math.floor((step / 11) * (original.length - 1)),
      );
      for (const position of positions) {
        const changed = Buffer.from(original);
        changed[position]! ^= 1 << (position % 8);
        await writeFile(file, changed);
        const error = await failure(openModel(folder));
        expect(['STOA_CHECKSUM', 'STOA_TORN', 'STOA_VERSION']).toContain(error.code);
        expect(error.message).toContain(file);
      }
      await writeFile(file, original);
    }
    await openModel(folder);
  });

  it('every single changed byte of model.json', async () => {
    const folder = path.join(root, 'manifest');
    await cp(dir, folder, { recursive: true });
    const file = path.join(folder, 'model.json');
    const original = await readFile(file);
    for (let position = 0; position < original.length; position++) {
      const changed = Buffer.from(original);
      // A space for a newline, and the other way round, keeps the JSON: the hardest change to see.
      changed[position] =
        original[position] === 0x0a ? 0x20 : original[position] === 0x20 ? 0x0a : original[position]! ^ 1;
      await writeFile(file, changed);
      expect((await failure(openModel(folder))).message).toContain(file);
    }
  });

  it('a file that is missing or cut short', async () => {
    for (const name of (await readdir(dir)).filter((file) => file !== 'model.json')) {
      const folder = path.join(root, `without-${name}`);
      await cp(dir, folder, { recursive: true });
      const file = path.join(folder, name);
      const whole = await readFile(file);
      await writeFile(file, whole.subarray(0, whole.length - 1));
      const cut = await failure(openModel(folder));
      expect(cut.code).toBe('STOA_TORN');
      expect(cut.message).toContain(file);
      await rm(file);
      const missing = await failure(openModel(folder));
      expect(missing.message).toContain(`${file} is missing`);
    }
  });
});
