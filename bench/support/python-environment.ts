// The Python environment of the peers: .stoa-bench/venv with the packages of bench/peers/requirements.txt.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { sha256 } from '../../common/checksums.js';
import { packageRoot } from '../../common/package-root.js';
import { benchFolder } from './bench-folder.js';

const VENV = path.join(benchFolder, 'venv');
const REQUIREMENTS = path.join(packageRoot, 'bench/peers/requirements.txt');
/** A package index that does not answer must not hold up a benchmark for ever. */
const TIMEOUT_MS = 600_000;

/**
 * Makes the environment unless it is there and up to date; says so on stderr.
 *
 * @returns the path of its interpreter.
 * @throws {Error} there is no Python with venv, or a package cannot be installed.
 */
export function pythonEnvironment(): string {
  const python = path.join(VENV, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  const stamp = path.join(VENV, '.stoa-requirements-sha256');
  const wanted = sha256(readFileSync(REQUIREMENTS));
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return python;
  console.error(`making the Python environment of the peers in ${VENV}…`);
  rmSync(VENV, { recursive: true, force: true });
  mkdirSync(benchFolder, { recursive: true });
  run('python3', ['-m', 'venv', VENV]);
  const quiet = ['--quiet', '--disable-pip-version-check'];
  run(python, ['-m', 'pip', 'install', ...quiet, '--only-binary', ':all:', '-r', REQUIREMENTS]);
  writeFileSync(stamp, wanted);
  return python;
}

/**
 * Variables for a peer that computes in its own threads: one thread for BLAS within each. A kernel of OpenBLAS that
 * was chosen for all programs of the machine is not imposed on the peer: it takes the one it finds best.
 */
export function peerVariables(threads: number): NodeJS.ProcessEnv {
  const { OPENBLAS_CORETYPE, OPENBLAS_L2_SIZE, ...rest } = process.env;
  const one = { OPENBLAS_NUM_THREADS: '1', MKL_NUM_THREADS: '1' };
  return { ...rest, ...one, OMP_NUM_THREADS: String(threads) };
}

function run(command: string, args: readonly string[]): void {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: TIMEOUT_MS });
  if (result.status === 0) return;
  rmSync(VENV, { recursive: true, force: true });
  const why = result.error?.message ?? result.stderr.trim().split('\n').at(-1);
  const what = `${command} ${args.slice(0, 3).join(' ')}`;
  throw new Error(`${what} failed: ${why}; the peers need Python 3.11 or newer with venv and pip`);
}
