// The compiled addon as a thing that can be missing, damaged, abused or torn away: in processes of its own, so that a
// crash would be seen, and under AddressSanitizer and UndefinedBehaviorSanitizer.

import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { builtEntry, packageRoot } from '../../common/package-root.js';
import { findAddon, publishAddon, repositoryFolder } from '../../kernels/binding/addon-folder.js';
import { addonKey } from '../../kernels/binding/addon-sources.js';
import { buildAddon, findCompiler, missingCompiler } from '../../kernels/binding/build-addon.js';
import { loadAddon, loadAddonFrom } from '../../kernels/binding/load-addon.js';

const run = promisify(execFile);
const loaded = await loadAddon();
const compiler = findCompiler();
const why = loaded.ok ? '' : ` (not here: ${loaded.reason})`;
const support = (name: string) => path.join(packageRoot, 'test/support', name);

const COMPILE_MS = 600_000;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'stoa-addon-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.skipIf(!loaded.ok)(`the addon${why}`, () => {
  const file = loaded.ok ? loaded.file : '';

  it('refuses wrong arguments of every kind with a code, and computes on', async () => {
    const { stdout } = await run(process.execPath, [support('native-exercise.mjs'), file, '300', '11']);
    const { refused, answered } = JSON.parse(stdout) as { refused: number; answered: number };
    expect(refused).toBeGreaterThan(1000);
    expect(answered).toBeGreaterThan(50);
  });

  it('survives the end of its threads and of the process in the middle of a block', async () => {
    const native = builtEntry('worker/devices/native.js').href;
    const { stdout } = await run(process.execPath, [support('native-threads.mjs'), native]);
    const seen = JSON.parse(stdout) as { terminateMs: number; isEqual: boolean; loopDelayMs: number };
    expect(seen.isEqual).toBe(true);
    expect(seen.terminateMs).toBeLessThan(500);
    expect(seen.loopDelayMs).toBeLessThan(20);
  });
});

const sanitizers = ['libasan.so', 'libubsan.so'].map((name) => {
  const [program, ...rest] = compiler?.command ?? ['false'];
  const found = spawnSync(program!, [...rest, `-print-file-name=${name}`], { encoding: 'utf8' });
  return found.stdout?.trim() ?? '';
});
const hasSanitizers = process.platform === 'linux' && sanitizers.every((found) => path.isAbsolute(found));
const without = hasSanitizers ? '' : ' (not here: the compiler has no libasan and libubsan)';

describe.skipIf(!hasSanitizers)(`the addon under sanitizers${without}`, () => {
  afterEach(() => {
    delete process.env['CXXFLAGS'];
  });

  it(
    'touches no memory but its own, and does nothing undefined',
    async () => {
      process.env['CXXFLAGS'] = '-O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined';
      const env = {
        ...process.env,
        CXXFLAGS: '',
        ASAN_OPTIONS: 'detect_leaks=0',
        LD_PRELOAD: sanitizers.join(' '),
      };
      const { file } = await buildAddon(repositoryFolder, compiler!, () => {}, env);
      expect((await readFile(file)).includes('__asan_report_load')).toBe(true);
      const { stdout } = await run(process.execPath, [support('native-exercise.mjs'), file, '150', '5'], {
        env,
      });
      expect(JSON.parse(stdout)).toMatchObject({ worked: expect.arrayContaining(['baseline']) });
    },
    COMPILE_MS,
  );
});

describe('a build of the addon', () => {
  afterEach(() => {
    delete process.env['CXXFLAGS'];
    delete process.env['CXX'];
  });

  it.skipIf(compiler === undefined)(
    `that is damaged or of another machine is built anew${compiler === undefined ? ' (no compiler here)' : ''}`,
    async () => {
      // Without optimisation, since it is only loaded.
      process.env['CXXFLAGS'] = '-O0';
      const foreign = path.join(folder, 'foreign');
      const damaged = path.join(folder, 'damaged');
      const garbage = Buffer.from('\u007fELF of some other machine');
      for (const place of [foreign, damaged]) {
        const home = path.join(place, addonKey());
        await mkdir(home, { recursive: true });
        await writeFile(path.join(home, 'stoa.node'), garbage);
        const sha256 = createHash('sha256').update(garbage).digest('hex');
        await writeFile(path.join(home, 'addon.json'), JSON.stringify({ sha256, compiler: 'another' }));
      }
      await truncate(path.join(damaged, addonKey(), 'stoa.node'), 9);
      expect(findAddon(foreign).state).toBe('intact');
      expect(findAddon(damaged).state).toBe('damaged');
      const found = await loadAddonFrom([foreign, damaged]);
      expect(found).toMatchObject({ ok: true, file: path.join(damaged, addonKey(), 'stoa.node') });
      if (found.ok) expect(found.addon.instructionSets()).toContain('baseline');
      expect(findAddon(damaged).state).toBe('intact');
    },
    COMPILE_MS,
  );

  it('is whole when several processes make it at once, and stays when it is good', async () => {
    const place = path.join(folder, 'busy');
    const made = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        publishAddon(place, 'some compiler', (file) => writeFile(file, `build ${i} `.repeat(1000))),
      ),
    );
    expect(new Set(made).size).toBe(1);
    const before = await readFile(made[0]!, 'utf8');
    expect(findAddon(place).state).toBe('intact');
    await publishAddon(place, 'some compiler', (file) => writeFile(file, 'later'));
    expect(await readFile(made[0]!, 'utf8')).toBe(before);
    await publishAddon(
      place,
      'new compiler',
      (file) => writeFile(file, 'newer'),
      () => true,
    );
    expect(await readFile(made[0]!, 'utf8')).toBe('newer');
  });

  it('leaves nothing behind when it fails', async () => {
    const place = path.join(folder, 'failing');
    const failed = publishAddon(place, 'some compiler', () => Promise.reject(new Error('no')));
    await expect(failed).rejects.toThrow('no');
    expect(findAddon(place).state).toBe('missing');
  });

  it('without a compiler says which was looked for and what to do', async () => {
    process.env['CXX'] = '/nowhere/c++';
    expect(findCompiler()).toBeUndefined();
    expect(missingCompiler().reason).toContain('/nowhere/c++');
    expect(await loadAddonFrom([path.join(folder, 'none')])).toMatchObject({
      ok: false,
      reason: expect.stringContaining('/nowhere/c++'),
      remedy: expect.stringContaining('install one'),
    });
  });

  it.skipIf(compiler === undefined)(
    `that does not compile says the compiler's reason${compiler === undefined ? ' (no compiler here)' : ''}`,
    async () => {
      process.env['CXXFLAGS'] = '-fno-such-flag';
      const found = await loadAddonFrom([path.join(folder, 'wrong')]);
      expect(found).toMatchObject({ ok: false, reason: expect.stringContaining('-fno-such-flag') });
    },
  );
});

describe('the device that is taken where the native one does not work', () => {
  it('is the portable one, and says why it is not native', async () => {
    const code = `
      const { chooseDevice } = await import(${JSON.stringify(builtEntry('worker/devices/device-registry.js').href)});
      const { device, passedOver } = await chooseDevice('auto', { threads: 1 });
      const native = passedOver.find(({ name }) => name === 'native');
      console.log(JSON.stringify({ kind: device.info.kind, reason: native.reason }));
      await device.dispose();`;
    const env = { ...process.env, STOA_ISA: 'none-such' };
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], { env });
    expect(JSON.parse(stdout)).toEqual({
      kind: 'portable',
      reason: expect.stringContaining('none-such') as string,
    });
  });
});
