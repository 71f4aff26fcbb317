// Finds the etcd that the tests of several coordinators run: one on the PATH, or Debian's etcd-server unpacked into
// .etcd/ (nothing is installed, no root is needed). Prints the path of the program, says on stderr what it does; exits
// 1 with the reason where there is none to be had.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const folder = path.join(root, '.etcd');
const unpacked = path.join(folder, 'usr/bin/etcd');
const PACKAGE = 'etcd-server';
/** A mirror that does not answer must not hold up a test run for ever. */
const TIMEOUT_MS = 120_000;

const found = ['etcd', unpacked].find((program) => run(program, ['--version']).isGood) ?? fetchPackage();
console.log(found);

function fetchPackage() {
  console.error(`stoa: fetching Debian's ${PACKAGE} into .etcd/ …`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  let download = run('apt-get', ['download', PACKAGE]);
  if (!download.isGood && process.getuid?.() === 0) {
    run('apt-get', ['update', '--quiet']);
    download = run('apt-get', ['download', PACKAGE]);
  }
  const archive = readdirSync(folder).find((name) => name.endsWith('.deb'));
  if (archive === undefined) fail(`apt-get download ${PACKAGE} failed: ${download.output}`);
  const unpack = run('dpkg', ['-x', archive, '.']);
  rmSync(path.join(folder, archive), { force: true });
  if (!existsSync(unpacked)) fail(`dpkg -x failed: ${unpack.output}`);
  return unpacked;
}

function fail(reason) {
  rmSync(folder, { recursive: true, force: true });
  console.error(`no etcd was found, and ${reason} (Debian: apt-get install ${PACKAGE})`);
  process.exit(1);
}

/** `output` is the last line that was said. */
function run(command, args) {
  const cwd = existsSync(folder) ? folder : root;
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: TIMEOUT_MS });
  const text = result.error ? result.error.message : `${result.stderr}`.trim();
  return { isGood: result.status === 0, output: text.split('\n').at(-1) };
}
