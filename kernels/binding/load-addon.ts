// Finds the addon, or builds it at first use, and loads it.

import { createRequire } from 'node:module';
import { DeviceError, messageOf } from '../../common/errors.js';
import type { Addon } from './addon.js';
import { cacheFolder, findAddon, repositoryFolder } from './addon-folder.js';
import { buildAddon, checkAddon, findCompiler, missingCompiler } from './build-addon.js';

export type LoadedAddon =
  | { readonly ok: true; readonly addon: Addon; readonly file: string }
  | { readonly ok: false; readonly reason: string; readonly remedy: string };

let loaded: Promise<LoadedAddon> | undefined;

/** Loads the addon once for this thread of JavaScript; building it takes about half a minute, and is said on stderr. */
export function loadAddon(): Promise<LoadedAddon> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<LoadedAddon> {
  for (const folder of [repositoryFolder, cacheFolder()]) {
    const found = findAddon(folder);
    if (found.state !== 'intact') continue;
    const addon = open(found.file);
    if (addon !== undefined) return { ok: true, addon, file: found.file };
  }
  return buildAndOpen();
}

async function buildAndOpen(): Promise<LoadedAddon> {
  const compiler = findCompiler();
  if (compiler === undefined) return { ok: false, ...missingCompiler() };
  try {
    const { file } = await buildAddon(cacheFolder(), compiler, (text) => console.error(`stoa: ${text}`));
    await checkAddon(file);
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
