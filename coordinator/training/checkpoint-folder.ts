// What a folder of checkpoints says before one of them is read whole.

import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { checkpointNames, readManifest } from './checkpoint-manifest.js';

/** Settings that the newest checkpoint of a folder was made with; undefined where none can be read. */
export async function checkpointSettings(dir: string): Promise<Record<string, unknown> | undefined> {
  for (const { name } of checkpointNames(await readdir(dir).catch(() => []))) {
    const manifest = await readManifest(path.join(dir, name)).catch(() => undefined);
    if (manifest !== undefined) return manifest.config;
  }
  return undefined;
}

/** The term that a process without a journal writes under: beyond all that are there. */
export async function nextCheckpointTerm(dir: string): Promise<number> {
  const names = checkpointNames(await readdir(dir).catch(() => []));
  return 1 + Math.max(0, ...names.map(({ term }) => term));
}
