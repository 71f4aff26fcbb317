// Makes the Python environment that the Python client and its tests run in: .venv/ with the packages of
// examples/python-client/requirements.txt. Does only what is out of date, says what it does on stderr, and prints the
// path of the interpreter. Where no environment can be made, a system Python that has the packages is taken
// (Debian: python3-grpcio python3-grpc-tools python3-numpy and so on); else it exits 1 with the reason.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const venv = path.join(root, '.venv');
const requirements = path.join(root, 'examples/python-client/requirements.txt');
const stamp = path.join(venv, '.stoa-requirements-sha256');
const venvPython = path.join(venv, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
const MODULES = 'grpc, grpc_tools, grpc_status, grpc_health, grpc_reflection, numpy, safetensors';
/** A package index that does not answer must not hold up a test run for ever. */
const TIMEOUT_MS = 300_000;

const hash = createHash('sha256').update(readFileSync(requirements)).digest('hex');
const isReady =
  existsSync(stamp) && readFileSync(stamp, 'utf8') === hash && run(venvPython, ['-c', '']).isGood;
if (!isReady) make();
console.log(venvPython);

function make() {
  const python = ['python3', 'python'].find((name) => run(name, ['-c', 'import venv, ensurepip']).isGood);
  if (python === undefined) {
    useSystemPython('no Python 3 with venv and pip was found (Debian: apt-get install python3-venv)');
  }
  say('making the Python environment .venv (pip install of grpcio, numpy and so on)…');
  rmSync(venv, { recursive: true, force: true });
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary', ':all:'];
  for (const [command, args] of [
    [python, ['-m', 'venv', venv]],
    [venvPython, [...pip, '-r', requirements]],
  ]) {
    const { isGood, output } = run(command, args);
    if (isGood) continue;
    rmSync(venv, { recursive: true, force: true });
    useSystemPython(`${path.basename(command)} ${args.slice(0, 3).join(' ')} failed: ${output}`);
  }
  writeFileSync(stamp, hash);
}

/** The last resort; ends this program either way. */
function useSystemPython(reason) {
  if (run('python3', ['-c', `import ${MODULES}`]).isGood) {
    say(`${reason}; taking the system's python3, which has the packages`);
    console.log('python3');
    process.exit(0);
  }
  console.error(reason);
  process.exit(1);
}

/** `output` is the last line that was said: where pip puts the reason. */
function run(command, args) {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: TIMEOUT_MS });
  const text = result.error ? result.error.message : `${result.stderr}`.trim();
  return { isGood: result.status === 0, output: text.split('\n').at(-1) };
}

function say(text) {
  console.error(`stoa: ${text}`);
}
