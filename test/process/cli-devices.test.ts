// What computes, as the real program says it: doctor, the flags of devices, the field `device` of every answer.

import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder, writeSmallCsv } from '../support/small-data.js';
import { type StoaOutcome, stoa } from '../support/stoa-process.js';

let folder: string;
let remove: () => Promise<void>;
const at = (name: string): string => path.join(folder, name);

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  const csv = await writeSmallCsv(folder, { users: 60, items: 30, perUser: 6 });
  expect(await stoa(['data', 'import', csv, '--out', at('data')])).toMatchObject({ exitCode: 0 });
  const train = ['train', '--data', at('data'), '--out', at('run'), '--workers', '1', '--threads', '1'];
  const settings = ['--set', 'ials.factors=8', '--set', 'train.epochs=1', '--device', 'portable'];
  expect(await stoa([...train, ...settings])).toMatchObject({ exitCode: 0 });
});
afterAll(() => remove());

function expectRefusal({ exitCode, stdout, stderr }: StoaOutcome, code: number, sentence: RegExp): void {
  expect(stderr).toMatch(/^stoa: [^\n]+\n$/);
  expect(stderr).toMatch(sentence);
  expect(stdout).toBe('');
  expect(exitCode).toBe(code);
}

describe('stoa doctor', () => {
  it('checks every solver of every device that works, and says what to do about the others', async () => {
    const { exitCode, stdout } = await stoa(['doctor', '--json']);
    expect(exitCode).toBe(0);
    const { devices, auto } = JSON.parse(stdout);
    const portable = devices.find((entry: { device: string }) => entry.device === 'portable');
    expect(portable).toMatchObject({ ok: true, gpu: false, software: false, precision: 'f64' });
    expect(Object.keys(portable.errors).sort()).toEqual(['cg', 'cholesky', 'ials++']);
    expect(portable.backward_error).toBeGreaterThan(0);
    expect(portable.backward_error).toBeLessThan(1e-6);
    expect(portable.gflops).toBeGreaterThan(0.01);
    const native = devices.find((entry: { device: string }) => entry.device === 'native');
    if (native.ok) expect(Object.keys(native.errors)).toEqual(expect.arrayContaining(['bpr', 'mf']));
    for (const device of devices) if (!device.ok) expect(device.remedy).not.toBe('');
    expect(devices.map((entry: { device: string }) => entry.device)).toContain(auto.device);
    expect(auto.reason).not.toBe('');
  });

  it('says the same in words', async () => {
    const { exitCode, stdout } = await stoa(['doctor']);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^portable +works +[\d.]+ +\d\.\de-\d/m);
    expect(stdout).toMatch(/errors against float64: cholesky \S+, cg \S+, ials\+\+ \S+/);
    expect(stdout).toMatch(/^auto: \w+/m);
  });
});

describe('--require-gpu', () => {
  it.each([
    ['train', () => ['train', '--data', at('data'), '--out', at('none')]],
    ['resume', () => ['resume', at('run')]],
    ['worker', () => ['worker', '--coordinator', '127.0.0.1:1', '--quiet']],
  ])('ends stoa %s with one sentence and exit code 1 where no GPU computes', async (_, args) => {
    const outcome = await stoa([...args(), '--device', 'portable', '--require-gpu']);
    expectRefusal(outcome, 1, /--require-gpu: device "portable" is no GPU .*leave --require-gpu out/);
  });

  it('is decided where the workers run', async () => {
    const remote = ['--coordinator', '127.0.0.1:1', '--require-gpu'];
    const outcome = await stoa(['train', '--data', at('data'), '--out', at('none'), ...remote]);
    expectRefusal(outcome, 2, /--require-gpu is decided where the workers run/);
  });
});

it('--isa with a device that has no instruction sets to choose from is refused', async () => {
  const args = ['train', '--data', at('data'), '--out', at('none'), '--device', 'portable', '--isa', 'avx2'];
  expectRefusal(await stoa(args), 2, /--isa is for the native device, not for portable/);
});

describe('the field device', () => {
  it.each([
    ['recommend', () => ['recommend', '--model', at('run'), '--user', 'nobody']],
    ['similar', () => ['similar', '--model', at('run'), '--item', 'i1']],
    ['eval', () => ['eval', at('run'), '--data', at('data'), '--threads', '2']],
    ['plan', () => ['plan', '--data', at('data'), '--threads', '1', '--device', 'portable']],
  ])('says in the answer of stoa %s what computed', async (_, args) => {
    const { stdout, stderr, exitCode } = await stoa([...args(), '--json']);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    const { device } = JSON.parse(stdout);
    expect(device).toMatchObject({ device: 'portable', provider: null, precision: 'f64' });
    expect(device.threads).toBeGreaterThanOrEqual(1);
  });

  it('of a run is shown with the run', async () => {
    const { stdout } = await stoa(['runs', 'show', at('run')]);
    expect(stdout).toMatch(/^ {2}on portable TypeScript, 1 thread, f64$/m);
  });
});
