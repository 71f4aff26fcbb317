// Opt-in: runs the device suite on a real @tensorflow/tfjs-node, on a machine that cannot download libtensorflow 2.9.1.
// Installs the package without its scripts, takes libtensorflow and its C headers out of TensorFlow's Python wheel,
// compiles the package's addon against them, and runs the suite. Everything stays in one folder outside the repository.
//
//   node scripts/tfjs-node-check.mjs [FOLDER]      FOLDER is kept and used again; default: stoa-tfjs-node in the temporary folder
//
// Needs: Linux on x86-64, g++, python3 with pip and venv, Node's headers (they come with Node), 1.2 GB of disk.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build, root, say } from './setup.mjs';

const TFJS_VERSION = '4.22.0';
/** A wheel whose libraries stand alone: it has libtensorflow_cc, with the C API in it. */
const TENSORFLOW_VERSION = '2.12.1';
/** Node-API 8 is in every Node from 12.22, 14.17 and 16 on; the package looks for its addon under that number. */
const NAPI_VERSION = 8;

const folder = path.resolve(process.argv[2] ?? path.join(os.tmpdir(), 'stoa-tfjs-node'));
const tfjsNode = path.join(folder, 'node_modules/@tensorflow/tfjs-node');
const wheelFiles = path.join(folder, 'wheel-files');
const tensorflow = path.join(wheelFiles, 'tensorflow');
const addon = path.join(tfjsNode, `lib/napi-v${NAPI_VERSION}/tfjs_binding.node`);

if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.error('stoa: this check runs on Linux on x86-64 only');
  process.exit(1);
}
build({ quiet: true });
mkdirSync(folder, { recursive: true });
say(`working in ${folder}`);
installPackage();
checkMissingAddon();
fetchTensorflow();
compileAddon();
runSuite();

function installPackage() {
  if (existsSync(tfjsNode)) return;
  say(`installing @tensorflow/tfjs-node ${TFJS_VERSION} without its scripts…`);
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n');
  run(
    'npm',
    ['install', '--ignore-scripts', '--no-audit', '--no-fund', `@tensorflow/tfjs-node@${TFJS_VERSION}`],
    {
      cwd: folder,
    },
  );
}

/** A package without its addon must be told from one that is not installed. */
function checkMissingAddon() {
  if (existsSync(addon)) return;
  const probe = runProbe();
  if (probe.code !== 'BINARY_MISSING') fail(`without its addon the probe says ${JSON.stringify(probe)}`);
  say(`without its addon: ${probe.reason}`);
}

function fetchTensorflow() {
  if (existsSync(path.join(tensorflow, 'libtensorflow_cc.so.2'))) return;
  const wheels = path.join(folder, 'wheels');
  const name = `tensorflow-cpu==${TENSORFLOW_VERSION}`;
  say(`fetching ${name} (230 MB)…`);
  // The libraries do not depend on Python: the wheel of any of its versions will do.
  const forPython = [
    '--python-version',
    '3.11',
    '--platform',
    'manylinux_2_17_x86_64',
    '--only-binary',
    ':all:',
  ];
  run('python3', ['-m', 'pip', 'download', '--quiet', '--no-deps', ...forPython, '--dest', wheels, name]);
  const wheel = readdirSync(wheels).find((file) => file.endsWith('.whl'));
  run('python3', ['-m', 'zipfile', '--extract', path.join(wheels, wheel), wheelFiles]);
}

function compileAddon() {
  if (existsSync(addon)) return;
  const nodeHeaders = path.resolve(path.dirname(process.execPath), '../include/node');
  if (!existsSync(path.join(nodeHeaders, 'node_api.h')))
    fail(`there are no headers of Node in ${nodeHeaders}`);
  say('compiling the addon…');
  mkdirSync(path.dirname(addon), { recursive: true });
  run('g++', [
    ...['-std=c++17', '-O2', '-shared', '-fPIC', `-DNAPI_VERSION=${NAPI_VERSION}`],
    ...[`-I${nodeHeaders}`, `-I${path.join(tensorflow, 'include')}`, `-I${tfjsNode}`],
    ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((file) => path.join(tfjsNode, 'binding', file)),
    ...['-o', addon, `-L${tensorflow}`, '-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2'],
    `-Wl,-rpath,${tensorflow}`,
  ]);
}

function runSuite() {
  const probe = runProbe();
  if (!probe.ok) fail(`the provider does not work: ${probe.reason}`);
  say(`${probe.info.name}: ${JSON.stringify(probe.info.detail)}`);
  run(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', '--config', 'scripts/tfjs-node-check.config.mjs'],
    { cwd: root, env: environment() },
  );
}

function runProbe() {
  const entry = path.join(root, 'dist/worker/devices/tfjs-probe-process.js');
  const { stdout } = spawnSync(process.execPath, [entry, 'node'], { encoding: 'utf8', env: environment() });
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

/** Stoa looks for packages in the folders of NODE_PATH too. */
function environment() {
  return { ...process.env, NODE_PATH: path.join(folder, 'node_modules') };
}

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], ...options });
  if (result.status !== 0)
    fail(`${command} ${args[0]} failed${result.error ? `: ${result.error.message}` : ''}`);
}

function fail(reason) {
  console.error(`stoa: ${reason}`);
  process.exit(1);
}
