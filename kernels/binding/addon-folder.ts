// Where builds of the addon are kept: a folder for each key, complete or not at all, with the checksum of its file.

import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { packageRoot } from '../../common/package-root.js';
import { addonKey } from './addon-sources.js';

const FILE = 'stoa.node';
const FACTS = 'addon.json';

/** What is known about a build. */
export interface AddonFacts {
  /** Of the file, hex. */
  readonly sha256: string;
  /** First line of what the compiler says of itself. */
  readonly compiler: string;
}

/** Where `npm run build` puts builds in a checkout. */
export const repositoryFolder: string = path.join(packageRoot, 'build/native');

/** Where an installed package puts them: it may not write to its own folder. `STOA_CACHE` overrides. */
export function cacheFolder(): string {
  return path.join(process.env['STOA_CACHE'] ?? systemCache(), 'native');
}

function systemCache(): string {
  const home = os.homedir();
  if (process.platform === 'darwin') return path.join(home, 'Library/Caches/stoa');
  return path.join(process.env['XDG_CACHE_HOME'] ?? path.join(home, '.cache'), 'stoa');
}

/** The build of the present sources, and whether its bytes are those that were built. */
export type FoundAddon =
  | { readonly state: 'intact'; readonly file: string; readonly facts: AddonFacts }
  | { readonly state: 'damaged'; readonly file: string }
  | { readonly state: 'missing' };

/** Looks for a build of the present sources in a folder of builds. */
export function findAddon(folder: string): FoundAddon {
  const file = path.join(folder, addonKey(), FILE);
  if (!existsSync(path.dirname(file))) return { state: 'missing' };
  try {
    const facts = JSON.parse(readFileSync(path.join(path.dirname(file), FACTS), 'utf8')) as AddonFacts;
    if (sha256Of(file) === facts.sha256) return { state: 'intact', file, facts };
  } catch {
    // Files that are missing or cannot be read are damage like any other.
  }
  return { state: 'damaged', file };
}

/** Removes the build of the present sources; nothing happens where there is none. */
export async function removeAddon(folder: string): Promise<void> {
  await rm(path.join(folder, addonKey()), { recursive: true, force: true });
}

/**
 * Makes a build: `build` leaves the addon at the path it is given. What was there before is replaced only when it is
 * damaged or `isStale` says so; two processes at once both end with a build that is whole.
 *
 * @returns the addon's file.
 */
export async function publishAddon(
  folder: string,
  compiler: string,
  build: (file: string) => Promise<void>,
  isStale: (facts: AddonFacts) => boolean = () => false,
): Promise<string> {
  const target = path.join(folder, addonKey());
  const temporary = `${target}.${process.pid}-${randomBytes(4).toString('hex')}`;
  await mkdir(temporary, { recursive: true });
  try {
    await build(path.join(temporary, FILE));
    const facts: AddonFacts = { sha256: sha256Of(path.join(temporary, FILE)), compiler };
    await writeFile(path.join(temporary, FACTS), `${JSON.stringify(facts)}\n`);
    await replaceFolder(temporary, target, () => {
      const found = findAddon(folder);
      return found.state === 'intact' && !isStale(found.facts);
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return path.join(target, FILE);
}

/** Renames `temporary` to `target`; one that is there already stays when `isGood`, else it gives way. */
async function replaceFolder(temporary: string, target: string, isGood: () => boolean): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await rename(temporary, target);
      return;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if ((code !== 'ENOTEMPTY' && code !== 'EEXIST') || attempt >= 3) throw error;
    }
    if (isGood()) return;
    const old = `${temporary}.old`;
    await rename(target, old).catch(() => {});
    await rm(old, { recursive: true, force: true });
  }
}

function sha256Of(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
