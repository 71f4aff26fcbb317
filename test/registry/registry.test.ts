// Shows which model is served after every order of promotions and rollbacks, also by a registry opened anew.

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeModel } from '../../coordinator/registry/model-folder.js';
import { Registry } from '../../coordinator/registry/registry.js';
import { smallModel } from '../support/small-model.js';

let root: string;
let registry: Registry;

async function addModel(version: string, createTime: string): Promise<void> {
  const dir = path.join(root, `made-${version}`);
  await writeModel(dir, {
    ...smallModel({ users: 4, items: 5, factors: 2, version }),
    createTime: new Date(createTime),
  });
  await registry.add(version, dir);
}

beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'stoa-'));
  registry = await Registry.open(path.join(root, 'state'));
  await addModel('v1', '2026-01-01T00:00:00Z');
  await addModel('v2', '2026-01-03T00:00:00Z');
  await addModel('v3', '2026-01-02T00:00:00Z');
});

afterEach(() => rm(root, { recursive: true }));

describe('the registry', () => {
  it('lists models newest first and says which one is promoted', async () => {
    await registry.promote('v3');
    const listed = await registry.list();
    expect(listed.map(({ version, isPromoted }) => [version, isPromoted])).toEqual([
      ['v2', false],
      ['v3', true],
      ['v1', false],
    ]);
    expect(listed[0]!.manifest?.counts).toMatchObject({ users: 4, items: 5, factors: 2 });
  });

  it('serves what was promoted last, goes back step by step, and remembers it when opened anew', async () => {
    expect(await registry.promoted()).toBeUndefined();
    expect(await registry.openPromoted()).toBeUndefined();
    for (const version of ['v1', 'v2', 'v2', 'v3', 'v1']) {
      expect((await registry.promote(version)).version).toBe(version);
    }
    const reopened = await Registry.open(path.join(root, 'state'));
    expect((await reopened.openPromoted())?.version).toBe('v1');
    expect((await reopened.rollback()).version).toBe('v3');
    expect((await reopened.rollback()).version).toBe('v2');
    expect((await reopened.rollback()).version).toBe('v1');
    await expect(reopened.rollback()).rejects.toMatchObject({ code: 'STOA_NO_PREVIOUS_MODEL' });
    expect(await registry.promoted()).toBe('v1');
  });

  it('makes changes that are asked for at once one after another', async () => {
    await Promise.all([
      registry.promote('v1'),
      registry.promote('v2'),
      registry.promote('v3'),
      registry.rollback(),
    ]);
    expect(await registry.promoted()).toBe('v2');
    expect((await registry.rollback()).version).toBe('v1');
  });

  it('keeps serving the present model when the one to promote is damaged', async () => {
    await registry.promote('v1');
    const file = path.join(registry.folderOf('v2'), 'factors.safetensors');
    const bytes = await readFile(file);
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(file, bytes);
    await expect(registry.promote('v2')).rejects.toMatchObject({ code: 'STOA_CHECKSUM' });
    expect(await registry.promoted()).toBe('v1');
  });

  it('lists a model that cannot be read with what is wrong', async () => {
    await writeFile(path.join(registry.folderOf('v2'), 'model.json'), '{');
    const broken = (await registry.list()).at(-1);
    expect(broken?.version).toBe('v2');
    expect(broken?.problem).toContain('model.json');
  });

  it('refuses an unknown version and names the nearest', async () => {
    await expect(registry.promote('v33')).rejects.toThrow('there is no model "v33"; did you mean "v3"?');
  });

  it('refuses a version twice, without a trace', async () => {
    await expect(registry.add('v1', path.join(root, 'made-v1'))).rejects.toMatchObject({
      code: 'STOA_EXISTS',
    });
    expect((await readdir(path.join(root, 'state/models'))).sort()).toEqual(['v1', 'v2', 'v3']);
  });

  it('says so when promoted.json is damaged', async () => {
    await registry.promote('v1');
    const file = path.join(root, 'state/models/promoted.json');
    await writeFile(file, '{"format":"stoa-promoted"}');
    await expect(registry.promoted()).rejects.toThrow(file);
  });
});

describe('a version that is no folder name', () => {
  const names = [
    '',
    '.',
    '..',
    '../v1',
    'a/b',
    'a\\b',
    '/etc',
    'a\0b',
    'x'.repeat(65),
    '.hidden',
    'NUL',
    'con.txt',
  ];
  it.each([...names, '‥', 'ü', 'promoted.json', ' v1'])('%j is refused', async (name) => {
    const before = (await readdir(root)).sort();
    await expect(async () => registry.promote(name)).rejects.toMatchObject({ code: 'STOA_USAGE' });
    await expect(async () => registry.add(name, path.join(root, 'made-v1'))).rejects.toMatchObject({
      code: 'STOA_USAGE',
    });
    expect((await readdir(root)).sort()).toEqual(before);
  });
});
