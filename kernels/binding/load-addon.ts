// Finds the addon, or builds it at first use, and loads it.

import { createRequire } from 'node:module';
import { DeviceError, messageOf } from '../../common/errors.js';
import type { Addon } from './addon.js';
import { cacheFolder, findAddon, removeAddon, repositoryFolder } from './addon-folder.js';
import { buildAddon, findCompiler, missingCompiler } from './build-addon.js';

export type LoadedAddon =
  | { readonly ok: true; readonly addon: Addon; readonly file: string }
  | { readonly ok: false; readonly reason: string; readonly remedy: string };

let loaded: Promise<LoadedAddon> | undefined;

/** Loads the addon once for this thread of JavaScript; building it takes about half a minute, and is said on stderr. */
export function loadAddon(): Promise<LoadedAddon> {
  loaded ??= loadAddonFrom([repositoryFolder, cacheFolder()]);
  return loaded;
}

/**
 * Loads the first build that is whole and works; where there is none, builds it into the last of the folders.
 * One that is damaged, or made for another machine, gives way to the new one.
 */
export async function loadAddonFrom(folders: readonly string[]): Promise<LoadedAddon> {
  for (const folder of folders) {
    const found = findAddon(folder);
    if (found.state !== 'intact') continue;
    const addon = open(found.file);
    if (addon !== undefined) return { ok: true, addon, file: found.file };
  }
  return buildAndOpen(folders.at(-1)!);
}

async function buildAndOpen(folder: string): Promise<LoadedAddon> {
  const compiler = findCompiler();
  if (compiler === undefined) return { ok: false, ...missingCompiler() };
  try {
    await removeAddon(folder);
    const { file } = await buildAddon(folder, compiler, (text) => console.error(`stoa: ${text}`));
    const addon = open(file);
    if (addon !== undefined) return { ok: true, addon, file };
    return { ok: false, reason: `${file} cannot be loaded`, remedy: 'remove the file and try again' };
  } catch (error) {
    const remedy = 'see the error with --verbose, or take --device portable';
    return { ok: false, reason: messageOf(error), remedy };
  }
}

/** Undefined where the system refuses the file: another architecture or C library, whose builds may share a folder. */
function open(file: string): Addon | undefined {
  try {
    return createRequire(import.meta.url)(file) as Addon;
  } catch {
    return undefined;
  }
}

/** The addon, for what cannot go on without. @throws {DeviceError} */
export async function requireAddon(): Promise<Addon> {
  const found = await loadAddon();
  if (found.ok) return found.addon;
  throw new DeviceError(
    'STOA_DEVICE',
    `the native device does not work here: ${found.reason}; ${found.remedy}`,
  );
}
