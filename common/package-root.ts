import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Folder of Stoa's package.json: it holds `proto/` and, once built, `dist/`. */
export const packageRoot: string = findPackageRoot(path.dirname(fileURLToPath(import.meta.url)));

/**
 * The compiled entry of a process or thread, e.g. `builtEntry('worker/devices/portable-thread.js')`.
 * Threads and child processes run compiled code even when their parent runs from source under a test runner.
 */
export function builtEntry(relative: string): URL {
  return pathToFileURL(path.join(packageRoot, 'dist', relative));
}

function findPackageRoot(folder: string): string {
  if (existsSync(path.join(folder, 'package.json'))) return folder;
  return findPackageRoot(path.dirname(folder));
}
