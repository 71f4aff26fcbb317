// Which device computes, and why: names, `auto`, --isa, --require-gpu, and what is said when nothing fits. Devices here
// are the portable one under other names, at other speeds.

import { describe, expect, it } from 'vitest';
import { DeviceError, UsageError } from '../../common/errors.js';
import type { DeviceFactory } from '../../models/device.js';
import { chooseAmong } from '../../worker/devices/choose-device.js';
import { chooseDevice } from '../../worker/devices/device-registry.js';
import { portableDevice } from '../../worker/devices/portable.js';
import { alteredFactory } from '../support/altered-device.js';

const absent = (kind: DeviceFactory['kind'], reason: string, remedy: string): DeviceFactory => ({
  kind,
  probe: async () => ({ ok: false, reason, remedy }),
  open: () => Promise.reject(new Error('nobody opens what is absent')),
});

const gpu = {
  kind: 'webgpu' as const,
  name: 'a card via Dawn',
  isSoftware: false,
  detail: { provider: 'dawn' },
};
const emulated = { ...gpu, name: 'SwiftShader via Dawn', isSoftware: true };
const slow = { delayMs: 80 };

describe('a device by name', () => {
  const tfjs = () => alteredFactory({ info: { kind: 'tfjs' }, providers: ['node', 'wasm'] });

  it.each([
    [
      'wepgpu',
      /unknown device "wepgpu"; known are auto, webgpu, tfjs, tfjs:node, tfjs:wasm; did you mean "webgpu"\?/,
    ],
    ['tfjs:wasn', /unknown device "tfjs:wasn"; .*; did you mean "tfjs:wasm"\?/],
    ['webgpu:dawn', /unknown device "webgpu:dawn"/],
    ['tfjs:', /unknown device "tfjs:"/],
  ])('"%s" that is none is refused, the nearest named', async (name, message) => {
    const failed = chooseAmong([alteredFactory({ info: gpu }), tfjs()], name, { threads: 1 });
    await expect(failed).rejects.toThrow(message);
    await expect(failed).rejects.toMatchObject({ constructor: UsageError, fields: { field: '--device' } });
  });

  it('with a provider is opened with it', async () => {
    const factory = tfjs();
    const { name, device } = await chooseAmong([factory], 'tfjs:wasm', { threads: 2 });
    expect(name).toBe('tfjs:wasm');
    expect(factory.openedWith).toMatchObject([{ threads: 2, provider: 'wasm' }]);
    await device.dispose();
  });

  it('that does not work says why and what to do', async () => {
    const factory = absent('native', 'there is no C++ compiler', 'install g++');
    await expect(chooseAmong([factory], 'native', { threads: 1 })).rejects.toThrow(
      'device "native" does not work here: there is no C++ compiler; install g++',
    );
  });

  it.each([
    [{ factors: 65 }, /takes at most 64 factors, not 65/],
    [{ solver: 'cg' as const }, /has no solver "cg" \(it has cholesky\)/],
    [{ gather: 'f16' as const }, /cannot gather in f16/],
  ])('that lacks what a run needs (%j) is refused and closed', async (change, message) => {
    const factory = alteredFactory({
      info: gpu,
      capabilities: { factorsMax: 64, solvers: new Set(['cholesky']) },
    });
    const needs = { solver: 'cholesky' as const, gather: 'f32' as const, factors: 64, ...change };
    await expect(chooseAmong([factory], 'webgpu', { threads: 1, needs })).rejects.toThrow(message);
    expect(factory.opened.map(({ isDisposed }) => isDisposed)).toEqual([true]);
  });
});

describe('auto', () => {
  it('takes the fastest that works, says why, and closes the others', async () => {
    const fast = alteredFactory({ info: { kind: 'native', name: 'native C++' } });
    const slower = alteredFactory({ info: gpu, ...slow });
    const none = absent('tfjs', 'it is not installed', 'npm install it');
    const choice = await chooseAmong([slower, fast, none], 'auto', { threads: 1 });
    expect(choice.name).toBe('native');
    expect(choice.gflops).toBeGreaterThan(0);
    expect(choice.reason).toMatch(/^the fastest here: native [\d.]+, webgpu [\d.]+ GFLOP\/s$/);
    expect(choice.passedOver).toEqual([
      { name: 'tfjs', reason: 'it is not installed', remedy: 'npm install it' },
      { name: 'webgpu', reason: 'it is slower', remedy: '' },
    ]);
    expect(slower.opened.map(({ isDisposed }) => isDisposed)).toEqual([true]);
    expect(fast.opened.map(({ isDisposed }) => isDisposed)).toEqual([false]);
    await choice.device.dispose();
  });

  it('never takes an emulated GPU, nor a provider that is for trials', async () => {
    const software = alteredFactory({ info: emulated });
    const wasm = alteredFactory({
      info: { kind: 'tfjs', detail: { provider: 'wasm' } },
      providers: ['wasm'],
    });
    const { name, device, passedOver } = await chooseAmong([software, wasm, portableDevice], 'auto', {
      threads: 1,
    });
    expect(name).toBe('portable');
    expect(passedOver.map((other) => other.name)).toEqual(['webgpu', 'tfjs']);
    expect([...software.opened, ...wasm.opened]).toEqual([]);
    await device.dispose();
  });

  it('passes over a device that breaks at its first block, and one that cannot do what is needed', async () => {
    const broken = alteredFactory({
      info: gpu,
      beforeBlock: () => {
        throw new DeviceError('STOA_DEVICE', 'out of device memory');
      },
    });
    const small = alteredFactory({ info: { kind: 'tfjs' }, capabilities: { factorsMax: 4 } });
    const native = alteredFactory({ info: { kind: 'native' } });
    const needs = { solver: 'cholesky' as const, gather: 'f32' as const, factors: 8 };
    const { name, device, passedOver } = await chooseAmong([broken, small, native], 'auto', {
      threads: 1,
      needs,
    });
    expect(name).toBe('native');
    expect(passedOver).toMatchObject([
      { name: 'tfjs', reason: expect.stringMatching(/takes at most 4 factors/) },
      { name: 'webgpu', reason: 'it failed a trial: out of device memory' },
    ]);
    expect([...broken.opened, ...small.opened].every(({ isDisposed }) => isDisposed)).toBe(true);
    await device.dispose();
  });

  it('is measured once in a process', async () => {
    const first = await chooseDevice('auto', { threads: 1 });
    await first.device.dispose();
    const second = await chooseDevice('auto', { threads: 1 });
    await second.device.dispose();
    expect({ ...second, device: undefined }).toEqual({ ...first, device: undefined });
    expect(second.device).not.toBe(first.device);
  });

  it('with nothing that works says of each why', async () => {
    const factories = [
      absent('native', 'no compiler', 'install g++'),
      absent('webgpu', 'no adapter', 'buy one'),
    ];
    await expect(chooseAmong(factories, 'auto', { threads: 1 })).rejects.toThrow(
      'no device serves here: native: no compiler; install g++ | webgpu: no adapter; buy one',
    );
  });
});

describe('--require-gpu', () => {
  const request = { threads: 1, isGpuRequired: true };

  it('takes a real GPU, by auto and by name, even where something else is faster', async () => {
    for (const name of ['auto', 'webgpu']) {
      const card = alteredFactory({ info: gpu, ...slow });
      const choice = await chooseAmong([portableDevice, card], name, request);
      expect(choice.name).toBe('webgpu');
      await choice.device.dispose();
    }
  });

  it('fails where there is none, and never counts an emulated one', async () => {
    const software = alteredFactory({ info: emulated });
    const failed = chooseAmong([software, portableDevice], 'auto', request);
    await expect(failed).rejects.toMatchObject({ constructor: DeviceError, exitCode: 1 });
    await expect(failed).rejects.toThrow(
      /^--require-gpu: no GPU computes here \(webgpu: it is an emulated GPU .* \| portable: it is no GPU\); leave/,
    );
    await expect(chooseAmong([software], 'webgpu', request)).rejects.toThrow(
      /is an emulated GPU \(SwiftShader/,
    );
    expect(software.opened.every(({ isDisposed }) => isDisposed)).toBe(true);
    await expect(chooseAmong([portableDevice], 'portable', request)).rejects.toThrow(
      /^--require-gpu: device "portable" is no GPU \(portable TypeScript\)/,
    );
  });

  it('counts a provider that says it is one', async () => {
    const info = { kind: 'tfjs' as const, detail: { provider: 'node-gpu', isGpu: true } };
    const providers = ['node-gpu', 'cpu'];
    const factory = alteredFactory({ info, providers, autoProviders: ['node-gpu'] });
    const choice = await chooseAmong([factory], 'auto', request);
    expect(choice.name).toBe('tfjs:node-gpu');
    expect(factory.openedWith).toMatchObject([{ provider: 'node-gpu' }]);
    await choice.device.dispose();
  });
});

describe('--isa', () => {
  it('goes to the native device, and by auto no other counts', async () => {
    const native = alteredFactory({ info: { kind: 'native' }, ...slow });
    for (const name of ['native', 'auto']) {
      const choice = await chooseAmong([native, portableDevice], name, { threads: 1, isa: 'avx2' });
      expect(choice.name).toBe('native');
      await choice.device.dispose();
    }
    expect(native.openedWith).toMatchObject([{ isa: 'avx2' }, { isa: 'avx2' }]);
  });

  it('with another device is refused', async () => {
    const failed = chooseAmong([portableDevice], 'portable', { threads: 1, isa: 'avx2' });
    await expect(failed).rejects.toBeInstanceOf(UsageError);
    await expect(failed).rejects.toThrow('--isa is for the native device, not for portable');
  });
});
