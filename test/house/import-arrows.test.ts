// Who may import whom, and what is pure: reads the imports and the words of every source file.

import { describe, expect, it } from 'vitest';
import { codeOf, importsOf, sourceFiles } from './source-files.js';

/** What each folder may import besides itself: folders, or single files. CONTRIBUTING.md says the same in words. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  common: ['proto/generated'],
  models: ['common'],
  datasets: ['common', 'models/csr.ts'],
  client: ['proto/generated', 'common'],
  kernels: ['models/device.ts', 'models/csr.ts', 'common'],
  federation: ['models', 'common'],
  coordinator: ['federation', 'kernels', 'models', 'datasets', 'proto/generated', 'common'],
  worker: ['federation', 'kernels', 'models', 'datasets', 'proto/generated', 'common'],
};

const PURE = [
  'models/',
  'coordinator/plan/',
  'coordinator/schedule/',
  'coordinator/serving/recommender.ts',
  'federation/robust/',
  'federation/rounds/',
  'federation/trust/access-table.ts',
  'federation/trust/allowance.ts',
  'federation/trust/token-bucket.ts',
];

/** Packages without I/O, clock or chance. */
const PURE_PACKAGES = ['zod'];

const IMPURE_WORDS =
  /\b(?:process|console|performance|Date|crypto|fetch|setTimeout|setInterval|setImmediate|queueMicrotask)\b(?=\s*[.([])|\bMath\.random\b|\bnew Date\b/;

const files = sourceFiles(Object.keys(ARROWS));

describe('the house', () => {
  it('has source files to check in every folder that this version has', () => {
    for (const folder of ['common', 'models', 'datasets', 'client', 'coordinator', 'federation', 'worker']) {
      expect(files.filter(({ name }) => name.startsWith(`${folder}/`)).length, folder).toBeGreaterThan(1);
    }
  });

  it.each(Object.entries(ARROWS))('%s imports only %s', (folder, allowed) => {
    const wrong = files
      .filter(({ name }) => name.startsWith(`${folder}/`))
      .flatMap(({ name, imports }) =>
        imports
          .filter(({ target, isOurs }) => isOurs && !mayImport(target, [folder, ...allowed]))
          .map(({ target }) => `${name} imports ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  it('keeps the pure folders free of I/O, time, chance and the process', () => {
    const wrong = files
      .filter(({ name }) => PURE.some((place) => name.startsWith(place)))
      .flatMap(({ name, imports, code }) => {
        const packages = imports.filter(
          ({ target, isOurs, isTypeOnly }) => !isOurs && !isTypeOnly && !PURE_PACKAGES.includes(target),
        );
        const word = IMPURE_WORDS.exec(code)?.[0];
        return [
          ...packages.map(({ target }) => `${name} imports ${target}`),
          ...(word === undefined ? [] : [`${name} uses ${word}`]),
        ];
      });
    expect(wrong).toEqual([]);
  });

  it('names files in kebab-case, and none utils, helpers or misc', () => {
    const wrong = files
      .map(({ name }) => name.split('/').at(-1)!)
      .filter(
        (name) =>
          !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.d)?\.ts$/.test(name) || /^(?:utils?|helpers?|misc)\b/.test(name),
      );
    expect(wrong).toEqual([]);
  });

  it('keeps files below 400 lines', () => {
    const long = files.filter(({ text }) => text.split('\n').length > 400).map(({ name }) => name);
    expect(long).toEqual([]);
  });
});

describe('the reading of imports', () => {
  it('finds every kind of import and resolves relative ones', () => {
    const text = [
      "import { a } from './b.js';",
      "import type {\n  C,\n} from '../models/csr.js';",
      "export * from 'zod';",
      "import './side-effect.js';",
      "const d = await import('node:fs');",
      "// import { no } from './comment.js';",
    ].join('\n');
    const found = importsOf('worker/x.ts', text).map(({ target, isOurs, isTypeOnly, isDynamic }) => [
      target,
      [isOurs && 'ours', isTypeOnly && 'type', isDynamic && 'dynamic'].filter(Boolean).join(' '),
    ]);
    expect(found).toEqual([
      ['worker/b.ts', 'ours'],
      ['models/csr.ts', 'ours type'],
      ['zod', ''],
      ['worker/side-effect.ts', 'ours'],
      ['node:fs', 'dynamic'],
    ]);
  });

  it('sees a clock that is read and not one that is written about', () => {
    expect(IMPURE_WORDS.test(codeOf('const t = Date.now();'))).toBe(true);
    expect(IMPURE_WORDS.test(codeOf('const r = Math.random();'))).toBe(true);
    expect(IMPURE_WORDS.test(codeOf("// Date.now() is never read\nconst text = 'process.exit()';"))).toBe(
      false,
    );
  });
});

function mayImport(target: string, allowed: readonly string[]): boolean {
  return allowed.some((place) => target === place || target.startsWith(`${place}/`));
}
