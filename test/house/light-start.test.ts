// `stoa --help` and the help of every verb answer at once: nothing heavy is reached by static imports.

import { describe, expect, it } from 'vitest';
import { VERBS } from '../../cli/verb-table.js';
import { filesUnder, importsOf, readText } from './source-files.js';

/** Packages whose loading nobody feels. */
const LIGHT = ['commander', 'fastest-levenshtein'];

/** Besides those, what the help of a verb may need: the list of settings is checked with zod and read with yaml. */
const LIGHT_FOR_A_VERB = [...LIGHT, 'zod', 'yaml'];

/** Packages that are loaded when a file is: over all static imports, through our own files. */
function packagesOf(name: string, seen = new Set<string>()): Set<string> {
  const packages = new Set<string>();
  if (seen.has(name)) return packages;
  seen.add(name);
  for (const { target, isOurs, isTypeOnly, isDynamic } of importsOf(name, readText(name))) {
    if (isTypeOnly || isDynamic) continue;
    if (!isOurs) packages.add(target);
    else for (const found of packagesOf(target, seen)) packages.add(found);
  }
  return packages;
}

function heavyPackages(name: string, light: readonly string[]): string[] {
  return [...packagesOf(name)].filter((target) => !target.startsWith('node:') && !light.includes(target));
}

describe('the start of the command line', () => {
  it('loads nothing heavy for stoa --help', () => {
    expect(heavyPackages('cli/main.ts', LIGHT)).toEqual([]);
  });

  it.each(filesUnder('cli/verbs'))('loads nothing heavy for the help of %s', (name) => {
    expect(heavyPackages(name, LIGHT_FOR_A_VERB)).toEqual([]);
  });

  it('would notice a heavy package', () => {
    expect(heavyPackages('common/grpc-services.ts', LIGHT)).toContain('@grpc/grpc-js');
  });

  it('has a file for every verb of the table', () => {
    const files = filesUnder('cli/verbs').map((name) => name.replace(/^cli\/verbs\/|\.ts$/g, ''));
    for (const { name, load } of VERBS) if (load !== undefined) expect(files).toContain(name);
  });
});
