// SwiftShader for the tests of the webgpu device: a Vulkan driver in software. Importing this file makes it the driver
// of this process and of those that it starts.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { packageRoot } from '../../common/package-root.js';

/** Keeps a library loaded although Node finds no addon in it: glibc's RTLD_NODELETE. */
const KEEP_LOADED = 0x1000;

const found = spawnSync(process.execPath, [path.join(packageRoot, 'scripts/swiftshader.mjs')], {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'pipe'],
});

/** Undefined where SwiftShader works here, else why it does not. */
export const swiftshaderMissing: string | undefined =
  found.status === 0 ? undefined : (found.stderr.trim().split('\n').at(-1) ?? 'no reason given');

if (found.status === 0) {
  const icd = found.stdout.trim();
  process.env['VK_DRIVER_FILES'] = icd;
  process.env['VK_ICD_FILENAMES'] = icd;
  process.env['STOA_WEBGPU_ALLOW_SOFTWARE'] = '1';
  // Dawn asks for this folder and complains when there is none.
  process.env['XDG_RUNTIME_DIR'] ??= os.tmpdir();
  provideLoader(path.join(path.dirname(icd), 'libvulkan.so.1'));
}

/** Dawn looks for the loader by its name: a copy that is loaded already is found, here and by processes to come. */
function provideLoader(loader: string): void {
  if (!existsSync(loader)) return;
  const before = process.env['LD_LIBRARY_PATH'];
  const folder = path.dirname(loader);
  process.env['LD_LIBRARY_PATH'] = before === undefined ? folder : `${before}:${folder}`;
  try {
    process.dlopen({ exports: {} }, loader, os.constants.dlopen.RTLD_NOW | KEEP_LOADED);
  } catch {
    // It is no addon, which is what Node says of it.
  }
}
