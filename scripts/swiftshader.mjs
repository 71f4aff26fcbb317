// Finds SwiftShader, the software Vulkan driver on which the kernels of the webgpu device are tested, and prints the
// path of its ICD file, as VK_DRIVER_FILES takes it; beside the file lies a Vulkan loader, or one is installed. Where
// none is installed, the files are taken out of Debian's package chromium-common, into .swiftshader/. Says what it does
// on stderr; where nothing helps it exits 1 with the reason.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const own = path.join(root, '.swiftshader');
const ICD = 'vk_swiftshader_icd.json';
const DRIVER = 'libvk_swiftshader.so';
const LOADER = 'libvulkan.so.1';
/** Where distributions put what comes with their browsers. */
const INSTALLED = [
  own,
  '/usr/lib/chromium',
  '/usr/lib64/chromium-browser',
  '/usr/lib/chromium-browser',
  '/opt/google/chrome',
  '/usr/share/vulkan/icd.d',
];
const PACKAGE = 'chromium-common';
/** A mirror that does not answer must not hold up a test run for ever. */
const TIMEOUT_MS = 300_000;

const found = INSTALLED.find((folder) => existsSync(path.join(folder, ICD)));
if (found === undefined) fetchPackage();
console.log(path.join(found ?? own, ICD));

function fetchPackage() {
  if (process.platform !== 'linux')
    giveUp(`SwiftShader is looked for on Linux only, this is ${process.platform}`);
  if (!run('apt-get', ['--version']).isGood || !run('dpkg', ['--version']).isGood) {
    giveUp(
      "SwiftShader is not installed, and apt-get is not there to fetch it (it comes with chromium's packages)",
    );
  }
  say(`fetching SwiftShader (Debian's package ${PACKAGE}, 32 MB)…`);
  const folder = mkdtempSync(path.join(os.tmpdir(), 'stoa-swiftshader-'));
  try {
    download(folder);
    const file = readdirSync(folder).find((name) => name.endsWith('.deb'));
    const unpacked = run('dpkg', ['-x', path.join(folder, file), path.join(folder, 'files')]);
    if (!unpacked.isGood) giveUp(`dpkg -x of ${PACKAGE} failed: ${unpacked.output}`);
    mkdirSync(own, { recursive: true });
    // The ICD file last: it is what says that all is there.
    for (const name of [LOADER, DRIVER, ICD]) {
      const from = path.join(folder, 'files/usr/lib/chromium', name);
      if (existsSync(from)) copyFileSync(from, path.join(own, name));
      else if (name !== LOADER) giveUp(`the package ${PACKAGE} has no ${name}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function download(folder) {
  let got = run('apt-get', ['download', PACKAGE], { cwd: folder });
  // A fresh machine has no list of packages yet.
  if (!got.isGood && run('apt-get', ['update', '--quiet']).isGood) {
    got = run('apt-get', ['download', PACKAGE], { cwd: folder });
  }
  if (!got.isGood) giveUp(`apt-get download ${PACKAGE} failed: ${got.output}`);
}

function giveUp(reason) {
  console.error(reason);
  process.exit(1);
}

/** `output` is the last line that was said. */
function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: TIMEOUT_MS, ...options });
  const text = result.error ? result.error.message : `${result.stderr}`.trim();
  return { isGood: result.status === 0, output: text.split('\n').at(-1) };
}

function say(text) {
  console.error(`stoa: ${text}`);
}
