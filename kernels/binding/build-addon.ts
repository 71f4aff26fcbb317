// Builds the addon with the machine's compiler: from `npm run build`, and at first use in an installed package. Nothing
// is downloaded; the headers of Node-API come with the package node-api-headers.

import { execFile, spawnSync } from 'node:child_process';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DeviceError, messageOf } from '../../common/errors.js';
import { builtEntry } from '../../common/package-root.js';
import { findAddon, publishAddon } from './addon-folder.js';
import { type CompileStep, compileSteps, linkFlags, sourceFolder } from './addon-sources.js';

const run = promisify(execFile);

/** A file of the kernels compiles in seconds; a compiler that takes minutes hangs. */
const COMPILE_TIMEOUT_MS = 300_000;
/** The check solves a few rows. */
const CHECK_TIMEOUT_MS = 60_000;

export interface Compiler {
  /** Program and the arguments that CXX may hold. */
  readonly command: readonly string[];
  /** First line of what it says of itself. */
  readonly version: string;
}

/** The C++ compiler: CXX where it is set, else the first of c++, g++ and clang++ that answers. */
export function findCompiler(): Compiler | undefined {
  if (process.platform === 'win32') return undefined;
  const chosen = process.env['CXX']?.trim();
  const candidates = chosen ? [chosen.split(/\s+/)] : [['c++'], ['g++'], ['clang++']];
  for (const command of candidates) {
    const [program, ...rest] = command;
    const answer = spawnSync(program!, [...rest, '--version'], { encoding: 'utf8', timeout: 20_000 });
    if (answer.status === 0) return { command, version: answer.stdout.split('\n')[0]!.trim() };
  }
  return undefined;
}

/** Why there is no compiler, and what to do. */
export function missingCompiler(): { reason: string; remedy: string } {
  if (process.platform === 'win32') {
    return {
      reason: 'its kernels are not built on Windows',
      remedy: 'run Stoa in WSL, or take another device',
    };
  }
  const chosen = process.env['CXX']?.trim();
  const reason = chosen
    ? `the compiler CXX="${chosen}" does not run`
    : 'there is no C++ compiler (c++, g++ or clang++)';
  return { reason, remedy: 'install one (Debian: apt-get install g++) and try again, or set CXX' };
}

/**
 * Builds the addon into a folder of builds, unless a good one of the same sources and compiler is there.
 *
 * @param say told what is done, before it is done.
 * @param checkEnvironment of the process that tries what was built: a sanitizer has to be loaded before all else.
 * @throws {DeviceError} `STOA_DEVICE`: the compiler fails, or what it made does not work.
 */
export async function buildAddon(
  folder: string,
  compiler: Compiler,
  say: (text: string) => void,
  checkEnvironment: NodeJS.ProcessEnv = process.env,
): Promise<{ file: string; isNew: boolean }> {
  const found = findAddon(folder);
  if (found.state === 'intact' && found.facts.compiler === compiler.version) {
    return { file: found.file, isNew: false };
  }
  say(`compiling the native kernels with ${compiler.version}…`);
  try {
    const file = await publishAddon(
      folder,
      compiler.version,
      async (target) => {
        await compile(compiler, target);
        await checkAddon(target, checkEnvironment);
      },
      (facts) => facts.compiler !== compiler.version,
    );
    return { file, isNew: true };
  } catch (error) {
    if (error instanceof DeviceError) throw error;
    throw new DeviceError('STOA_DEVICE', `the native kernels cannot be built: ${lastLine(error)}`, {
      cause: error,
    });
  }
}

async function compile(compiler: Compiler, target: string): Promise<void> {
  const objects = `${target}.objects`;
  await mkdir(objects, { recursive: true });
  const headers = createRequire(import.meta.url)('node-api-headers') as { include_dir: string };
  const steps = compileSteps();
  const waiting = [...steps];
  const lane = async (): Promise<void> => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      await callCompiler(compiler, compileArguments(step, objects, headers.include_dir));
    }
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, lane));
  const linked = path.join(objects, 'stoa.node');
  const inputs = steps.map((step) => path.join(objects, step.object));
  await callCompiler(compiler, [...linkFlags(), '-o', linked, ...inputs]);
  await copyFile(linked, target);
  await rm(objects, { recursive: true, force: true });
}

function compileArguments(step: CompileStep, objects: string, headers: string): string[] {
  const source = path.join(sourceFolder, step.source);
  return [...step.flags, '-I', path.resolve(headers), '-c', source, '-o', path.join(objects, step.object)];
}

async function callCompiler({ command }: Compiler, rest: string[]): Promise<void> {
  const [program, ...first] = command;
  await run(program!, [...first, ...rest], { timeout: COMPILE_TIMEOUT_MS, maxBuffer: 2 ** 24 });
}

/** Loads an addon and computes with it in a process of its own: what crashes there crashes nobody. */
async function checkAddon(file: string, env: NodeJS.ProcessEnv): Promise<void> {
  const entry = builtEntry('kernels/binding/check-addon.js');
  try {
    await run(process.execPath, [fileURLToPath(entry), file], { timeout: CHECK_TIMEOUT_MS, env });
  } catch (error) {
    const { signal } = error as { signal?: string };
    const why = signal ? `it ended by ${signal}` : lastLine(error);
    throw new DeviceError('STOA_DEVICE', `the native kernels do not work here: ${why}`, { cause: error });
  }
}

/** The line that says most: an error of the compiler where there is one. */
function lastLine(error: unknown): string {
  const text = (error as { stderr?: string }).stderr?.trim() || messageOf(error);
  const lines = text.split('\n');
  return (lines.find((line) => /\b(?:fatal )?error\b/i.test(line)) ?? lines.at(-1)!).trim();
}
