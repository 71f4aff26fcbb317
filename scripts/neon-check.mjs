// Opt-in: shows that the kernels give the same bits on arm64 (NEON) as here. Cross-compiles them with the program that
// exercises each, runs it in an emulator of the processor and natively, and compares what they print.
//
//   node scripts/neon-check.mjs
//
// Needs: Linux on x86-64, g++, and of Debian or Ubuntu the packages g++-aarch64-linux-gnu and qemu-user, which it
// installs where they are missing and it may.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build, root, say } from './setup.mjs';

const EMULATOR = 'qemu-aarch64';
const CROSS_COMPILER = 'aarch64-linux-gnu-g++';

build({ quiet: true });
const { kernelSets } = await import(path.join(root, 'dist/kernels/binding/addon-sources.js'));
installMissing();
const folder = mkdtempSync(path.join(os.tmpdir(), 'stoa-neon-'));
try {
  const here = hashes(run(compile('g++', process.arch), []));
  const arm = hashes(run(EMULATOR, ['-L', '/usr/aarch64-linux-gnu', compile(CROSS_COMPILER, 'arm64')]));
  const fused = [...here.keys()].find((name) => name !== 'baseline');
  if (fused === undefined) fail('this processor has no instruction set that fuses products and sums');
  compare(fused, here.get(fused), 'neon', arm.get('neon'));
  compare('baseline', here.get('baseline'), 'baseline on arm64', arm.get('baseline'));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function installMissing() {
  if (isThere(EMULATOR) && isThere(CROSS_COMPILER)) return;
  say('installing a compiler for arm64 and an emulator…');
  const packages = ['g++-aarch64-linux-gnu', 'qemu-user'];
  spawnSync('apt-get', ['install', '-y', '--no-install-recommends', ...packages], { stdio: 'ignore' });
  if (!isThere(EMULATOR) || !isThere(CROSS_COMPILER)) fail(`install the packages ${packages.join(' and ')}`);
}

function isThere(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;
}

/** @returns the program. */
function compile(compiler, arch) {
  say(`compiling the kernels for ${arch}…`);
  const sources = readdirSync(path.join(root, 'kernels/cpp')).filter((name) => name.endsWith('.cc'));
  const objects = [];
  for (const [name, flags] of Object.entries(kernelSets(arch))) {
    for (const source of sources) {
      const object = path.join(folder, `${arch}-${name}-${source}.o`);
      run(compiler, [...flags, '-c', path.join(root, 'kernels/cpp', source), '-o', object]);
      objects.push(object);
    }
  }
  const program = path.join(folder, `exercise-${arch}`);
  const rest = ['kernels/cpp/engine/instruction-sets.cc', 'kernels/cpp/engine/scratch.cc'];
  const main = 'test/support/kernel-exercise.cc';
  run(compiler, [
    '-std=c++17',
    '-O2',
    ...[...rest, main].map((file) => path.join(root, file)),
    ...objects,
    '-o',
    program,
  ]);
  return program;
}

function run(program, args) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) fail(`${program} failed:\n${stderr}`);
  return stdout;
}

/** By instruction set, its lines without its name. */
function hashes(text) {
  const found = new Map();
  for (const line of text.trim().split('\n')) {
    const [, name, rest] = /^(\S+) (.*)$/.exec(line);
    found.set(name, [...(found.get(name) ?? []), rest]);
  }
  return found;
}

function compare(nameA, a, nameB, b) {
  const different = a.flatMap((line, at) =>
    line === b?.[at] ? [] : [`  ${nameA}: ${line}\n  ${nameB}: ${b?.[at]}`],
  );
  if (different.length > 0)
    fail(`${different.length} of ${a.length} results differ:\n${different.join('\n')}`);
  console.log(`${nameA} and ${nameB} give the same bits in all ${a.length} results`);
}

function fail(why) {
  console.error(`stoa: ${why}`);
  process.exit(1);
}
