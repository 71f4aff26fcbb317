// Set-up shared by `npm run build`, `npm run demo` and `npm test`: does only what is out of date, and says so.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

const NODE_MIN = [20, 19];
/** Exit code of the kernels' build when there was nothing to do. */
const KERNELS_UP_TO_DATE = 3;
const SOURCES = [
  'common',
  'models',
  'datasets',
  'kernels',
  'federation',
  'coordinator',
  'worker',
  'client',
  'cli',
  'bench',
];

/** Installs and compiles what is out of date. Exits with a clear sentence when a step fails. */
export function build({ quiet = false } = {}) {
  checkNode();
  const installed = installPackages();
  const compiled = compile();
  const hasNewKernels = compileKernels();
  linkProgram();
  if (!quiet && !installed && !compiled && !hasNewKernels) say('everything is up to date');
}

/** Runs a command in the repository's root with its output shown; exits when it fails. */
export function runOrExit(command, args, what) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (result.status === 0) return;
  console.error(`stoa: ${what} failed${result.error ? `: ${result.error.message}` : ''}`);
  process.exit(result.status || 1);
}

export function say(text) {
  console.error(`stoa: ${text}`);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return;
  console.error(
    `stoa: Node ${NODE_MIN.join('.')} or newer is needed, this is ${process.versions.node}; see https://nodejs.org`,
  );
  process.exit(1);
}

/** `npm ci` when package-lock.json is not the one that was installed. */
function installPackages() {
  const stamp = path.join(root, 'node_modules/.stoa-lock-sha256');
  const lock = sha256(readFileSync(path.join(root, 'package-lock.json')));
  if (readIfThere(stamp) === lock) return false;
  say('installing packages (npm ci)…');
  runOrExit(npmCommand(), ['ci', '--no-audit', '--no-fund', '--loglevel=error'], 'npm ci');
  writeFileSync(stamp, lock);
  return true;
}

/** Generates types and compiles when a source file changed since the last build. */
function compile() {
  const stamp = path.join(root, 'dist/.sources-sha256');
  const hash = sourcesHash();
  const hasTypes = existsSync(path.join(root, 'proto/generated'));
  if (hasTypes && readIfThere(stamp) === hash) return false;
  say('compiling…');
  rmSync(path.join(root, 'dist'), { recursive: true, force: true });
  mkdirSync(path.join(root, 'dist'), { recursive: true });
  runOrExit(process.execPath, ['scripts/proto.mjs'], 'generating message types');
  runOrExit(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], 'compiling');
  writeFileSync(stamp, hash);
  return true;
}

/** Compiles the C++ kernels when their sources or the compiler changed. Without a compiler the build goes on. */
function compileKernels() {
  const entry = path.join(root, 'dist/kernels/binding/build-for-repository.js');
  const result = spawnSync(process.execPath, [entry], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  return result.status !== KERNELS_UP_TO_DATE;
}

/** Makes `npx stoa` find this build: npx looks into node_modules/.bin, where npm puts no link to its own package. */
function linkProgram() {
  const program = path.join(root, 'dist/cli/main.js');
  chmodSync(program, 0o755);
  const link = path.join(root, 'node_modules/.bin/stoa');
  if (!existsSync(link)) symlinkSync(path.relative(path.dirname(link), program), link);
}

function sourcesHash() {
  const hash = createHash('sha256');
  const files = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts/proto.mjs'];
  for (const folder of [...SOURCES, 'proto/google', 'proto/stoa']) files.push(...filesUnder(folder));
  for (const file of files) hash.update(file).update(readFileSync(path.join(root, file)));
  return hash.digest('hex');
}

function filesUnder(folder) {
  const full = path.join(root, folder);
  if (!existsSync(full)) return [];
  return readdirSync(full, { recursive: true })
    .map((name) => path.join(folder, String(name)))
    .filter((name) => statSync(path.join(root, name)).isFile())
    .sort();
}

function npmCommand() {
  return process.platform === 'win32' ? 'npm.cmd' : 'npm';
}

function readIfThere(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
