import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { type Dataset, openDataset } from '../../datasets/dataset.js';
import { type ImportOptions, importInteractions } from '../../datasets/import/import-interactions.js';

/** A temporary folder for the tests of a file, removed after them. */
export async function scratchFolder(): Promise<Scratch> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'stoa-'));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return new Scratch(folder);
}

export class Scratch {
  readonly folder: string;
  private outs = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  path(name: string): string {
    return path.join(this.folder, name);
  }

  /** Writes a file and answers its path. */
  async file(name: string, content: string | Uint8Array): Promise<string> {
    await writeFile(this.path(name), content);
    return this.path(name);
  }

  /** A name that nothing has yet. */
  freshOut(): string {
    return this.path(`out-${++this.outs}`);
  }

  /** Imports into a fresh folder and opens it, with every checksum checked. */
  async import(files: string | string[], options: Partial<ImportOptions> = {}): Promise<Dataset> {
    const out = this.freshOut();
    await importInteractions({ files: [files].flat(), out, ...options });
    return openDataset(out, { verify: 'all' });
  }
}

/** What a dataset holds, as plain rows: `user → item → [value, time]`, with the ids. */
export async function contentsOf(
  dataset: Dataset,
): Promise<Record<string, Record<string, [number, number?]>>> {
  const [userIds, itemIds, csr, times] = await Promise.all([
    dataset.userIds(),
    dataset.itemIds(),
    dataset.loadCsr('users'),
    dataset.loadTimes('users'),
  ]);
  const entry = (k: number): [string, [number, number?]] => {
    const value = csr.values === undefined ? 1 : csr.values[k]!;
    return [itemIds[csr.idx[k]!]!, times === undefined ? [value] : [value, times[k]!]];
  };
  // Made of entries, since an id may be "__proto__".
  return Object.fromEntries(
    userIds.map((user, row) => {
      const [from, to] = [csr.ptr[row]!, csr.ptr[row + 1]!];
      return [user, Object.fromEntries(Array.from({ length: to - from }, (_, k) => entry(from + k)))];
    }),
  );
}

/** The error that a call ends with; a call that succeeds fails the test. */
export async function failureOf(
  call: Promise<unknown>,
): Promise<Error & { code?: string; exitCode?: number }> {
  return call.then(
    () => {
      throw new Error('the call was expected to fail, and did not');
    },
    (error) => error,
  );
}
