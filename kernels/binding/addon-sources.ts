// What the addon is made of: its sources, the flags of each, and the key that names a build of them.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../common/package-root.js';

/** Node-API version: present in every Node of `engines`, and the same for all later ones. */
const NAPI_VERSION = 8;

const COMMON_FLAGS: readonly string[] = [
  '-std=c++17',
  '-O3',
  '-fPIC',
  '-fvisibility=hidden',
  // Results are the same on every machine: products and sums are fused where the source says so, nowhere else.
  '-ffp-contract=off',
  '-fno-math-errno',
  '-fno-trapping-math',
  '-Wall',
  '-Wextra',
  '-Wno-unused-function',
  '-Wno-maybe-uninitialized',
];

/** Flags of the kernels, by instruction set. */
const ISA_FLAGS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  x64: {
    avx512: ['-mavx512f', '-mavx512vl', '-mavx512bw', '-mavx512dq', '-mavx2', '-mfma', '-mf16c'],
    avx2: ['-mavx2', '-mfma', '-mf16c'],
    baseline: [],
  },
  arm64: { neon: [], baseline: ['-DSTOA_NO_NEON'] },
};

/** More flags, from CXXFLAGS; they come last, and a build with other ones is another build. */
function userFlags(): string[] {
  return process.env['CXXFLAGS']?.split(/\s+/).filter((flag) => flag !== '') ?? [];
}

/** One call of the compiler. */
export interface CompileStep {
  /** From the folder of sources, `kernels`. */
  readonly source: string;
  readonly object: string;
  readonly flags: readonly string[];
}

/** Folder of the sources; they are part of the published package. */
export const sourceFolder: string = path.join(packageRoot, 'kernels');

/** The instruction sets that kernels are compiled for on an architecture, with the flags of each. */
export function kernelSets(arch: string): Record<string, string[]> {
  const sets = Object.entries(ISA_FLAGS[arch] ?? { baseline: [] });
  return Object.fromEntries(
    sets.map(([name, flags]) => [
      name,
      [...COMMON_FLAGS, '-fno-exceptions', '-fno-rtti', ...flags, `-DSTOA_ISA=${name}`],
    ]),
  );
}

/** Kernels are compiled for every instruction set of the architecture, the rest once. */
export function compileSteps(): CompileStep[] {
  const sets = Object.entries(kernelSets(process.arch));
  const kernels = sourcesIn('cpp').flatMap((source) =>
    sets.map(([name, flags]) => ({
      source,
      object: `${path.basename(source, '.cc')}-${name}.o`,
      flags: [...flags, ...userFlags()],
    })),
  );
  const rest = [...sourcesIn('cpp/engine'), ...sourcesIn('binding')].map((source) => ({
    source,
    object: `${path.basename(source, '.cc')}.o`,
    flags: [...COMMON_FLAGS, `-DNAPI_VERSION=${NAPI_VERSION}`, ...userFlags()],
  }));
  return [...kernels, ...rest];
}

/** Flags that make a loadable module of objects. */
export function linkFlags(): string[] {
  const module = process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared'];
  return [...module, '-pthread', ...userFlags()];
}

/** Names a build: the same sources, flags, platform and architecture give the same name. */
export function addonKey(): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([process.platform, process.arch, compileSteps(), linkFlags()]));
  for (const folder of ['cpp', 'cpp/dense', 'cpp/engine', 'binding']) {
    for (const name of filesIn(folder, /\.(?:cc|h)$/)) {
      hash.update(name).update(readFileSync(path.join(sourceFolder, name)));
    }
  }
  return `${process.platform}-${process.arch}-${hash.digest('hex').slice(0, 16)}`;
}

function sourcesIn(folder: string): string[] {
  return filesIn(folder, /\.cc$/);
}

function filesIn(folder: string, pattern: RegExp): string[] {
  return readdirSync(path.join(sourceFolder, folder))
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => `${folder}/${name}`);
}
