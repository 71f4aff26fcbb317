// Workers whose devices fail, are lost or are not alike, over real sockets. Faults that no test can make a real device
// have are those of the portable one with a fault put in.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type Logger, pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../common/checksums.js';
import { DeviceError } from '../../common/errors.js';
import { bytesOf } from '../../common/row-chunks.js';
import { type LoadedModel, openModel } from '../../coordinator/registry/model-folder.js';
import { type Alteration, type AlteredDevice, alteredDevice } from '../support/altered-device.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { temporaryFolder } from '../support/small-data.js';
import { TrainingCluster } from '../support/training-cluster.js';

const settings = { 'ials.factors': 16, 'train.epochs': 3 };

let folder: string;
let remove: () => Promise<void>;
let dataset: string;
let expected: string;
let cluster: TrainingCluster;
let runs = 0;

const runDir = () => path.join(folder, `run-${++runs}`);
const fingerprint = (model: LoadedModel) => sha256(bytesOf(model.itemFactors));

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  dataset = path.join(folder, 'data');
  await writeInteractions(dataset, randomInteractions({ users: 900, items: 200, perUser: 12 }));
  const reference = await TrainingCluster.start(path.join(folder, 'reference'));
  const { model } = await reference.train({ dataset, runDir: runDir(), settings }, { workers: 1 });
  expected = fingerprint(model);
  await reference.close();
});

afterAll(() => remove());

beforeEach(async () => {
  cluster = await TrainingCluster.start(path.join(folder, `cluster-${++runs}`));
});

afterEach(() => cluster.close());

/** What `runWorker` opens its devices with; `opened` has those it got. */
function opening(alterations: (count: number) => Alteration) {
  const opened: AlteredDevice[] = [];
  const names: string[] = [];
  return {
    opened,
    names,
    openDevice: async (name: string, { threads }: { threads: number }) => {
      names.push(name);
      const device = await alteredDevice(threads, alterations(opened.length + 1));
      opened.push(device);
      return { name: 'portable', device, reason: 'for the test', passedOver: [] };
    },
  };
}

/** A log whose lines can be read. */
function keptLog(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  return { log: pino({ level: 'info' }, { write: (line: string) => lines.push(line) }), lines };
}

const outOfMemory = () => new DeviceError('STOA_DEVICE', 'the device is out of memory for this block');

describe('a device that fails', () => {
  it('now and then, out of memory, costs only that its blocks go elsewhere', async () => {
    const faulty = opening(() => ({
      beforeBlock: (count) => {
        if (count % 3 === 0) throw outOfMemory();
      },
    }));
    const dir = runDir();
    const runId = await cluster.submit({ dataset, runDir: dir, settings, expectedWorkers: 2 });
    cluster.addWorker({ name: 'faulty', openDevice: faulty.openDevice });
    cluster.addWorker({ name: 'sound' });
    await cluster.coordinator.result(runId);
    expect(fingerprint(await openModel(dir))).toBe(expected);
    expect(faulty.opened).toHaveLength(1);
  });

  it('at every block, alone, ends the run with why and with its last complete phase kept', async () => {
    let isBroken = false;
    const faulty = opening(() => ({
      beforeBlock: () => {
        if (isBroken) throw outOfMemory();
      },
    }));
    const dir = runDir();
    // No checkpoint but the one that the failure makes.
    const sparse = { ...settings, 'train.epochs': 200, 'train.checkpoint_epochs': 0 };
    const runId = await cluster.submit({ dataset, runDir: dir, settings: sparse });
    const worker = cluster.addWorker({ name: 'faulty', openDevice: faulty.openDevice });
    await cluster.untilPhases(runId, 4);
    isBroken = true;
    await expect(cluster.coordinator.result(runId)).rejects.toMatchObject({
      code: 'STOA_RUN_FAILED',
      message: expect.stringMatching(/failed 4 times; the last time: the device is out of memory/),
    });
    await worker.leave();
    const short = { ...sparse, 'train.epochs': 200 };
    const resumed = await cluster.submit({ dataset, runDir: dir, settings: short, resume: true });
    cluster.addWorker({ name: 'sound' });
    expect(await cluster.phasesDone(resumed)).toBeGreaterThanOrEqual(4);
    await cluster.coordinator.stopRun(resumed);
  });

  it('by being lost is opened again, under the name it was first found by, and the bytes are the same', async () => {
    const lossy = opening((count) => ({
      beforeBlock: (block, device) => {
        if (count <= 2 && block === 5) device.lose('the driver was reset');
      },
    }));
    const { log, lines } = keptLog();
    const dir = runDir();
    const runId = await cluster.submit({ dataset, runDir: dir, settings });
    cluster.addWorker({ name: 'lossy', device: 'auto', openDevice: lossy.openDevice, log });
    await cluster.coordinator.result(runId);
    expect(fingerprint(await openModel(dir))).toBe(expected);
    expect(lossy.names).toEqual(['auto', 'portable', 'portable']);
    expect(lossy.opened.map(({ isDisposed }) => isDisposed)).toEqual([true, true, false]);
    expect(lines.join('')).toContain('the driver was reset; opening device \\"portable\\" again');
  });

  it('by being lost for good makes its worker leave with a clear sentence', async () => {
    const lossy = opening((count) => {
      if (count > 1) throw new DeviceError('STOA_DEVICE', 'no adapter is left');
      return { beforeBlock: (_, device) => device.lose('the card fell off the bus') };
    });
    const dir = runDir();
    const runId = await cluster.submit({ dataset, runDir: dir, settings });
    const worker = cluster.addWorker({ name: 'lossy', openDevice: lossy.openDevice });
    await expect(worker.done).rejects.toMatchObject({
      code: 'STOA_DEVICE_LOST',
      message:
        'the card fell off the bus, and device "portable" cannot be opened again: no adapter is left; the worker leaves',
    });
    cluster.addWorker({ name: 'sound' });
    await cluster.coordinator.result(runId);
    expect(fingerprint(await openModel(dir))).toBe(expected);
  });

  it('by being lost again and again is given up', async () => {
    const lossy = opening(() => ({ beforeBlock: (_, device) => device.lose('the driver was reset') }));
    const runId = await cluster.submit({ dataset, runDir: runDir(), settings });
    const worker = cluster.addWorker({ name: 'lossy', openDevice: lossy.openDevice });
    await expect(worker.done).rejects.toMatchObject({ code: 'STOA_DEVICE_LOST' });
    expect(lossy.opened).toHaveLength(4);
    await cluster.coordinator.stopRun(runId);
  });

  it('with rows that are not finite fails the run at once, naming the row', async () => {
    // What a device answers to factors that hold NaN.
    const faulty = opening(() => ({
      beforeBlock: (count, device) => {
        if (count !== 3) return;
        const solve = device.solveBlock.bind(device);
        device.solveBlock = (task) => solve({ ...task, gram: task.gram.map(() => Number.NaN) });
      },
    }));
    const runId = await cluster.submit({ dataset, runDir: runDir(), settings });
    cluster.addWorker({ name: 'faulty', openDevice: faulty.openDevice });
    await expect(cluster.coordinator.result(runId)).rejects.toThrow(
      /block \w+\/\d+ .* cannot be solved: row \d+ of the block cannot be solved: the Gram .* not finite/,
    );
  });
});

describe('workers of different devices', () => {
  const native = { info: { kind: 'native' as const, name: 'native C++', detail: { arithmetic: 'fma' } } };

  it('do not mix where a run wants the same bits: the later one stays idle and says why', async () => {
    const { log, lines } = keptLog();
    const dir = runDir();
    const long = { ...settings, 'train.epochs': 20 };
    const runId = await cluster.submit({ dataset, runDir: dir, settings: long });
    const first = cluster.addWorker({ name: 'first', openDevice: opening(() => native).openDevice });
    await cluster.untilBlocks(runId, 'first', 1);
    cluster.addWorker({ name: 'second', log });
    const result = await cluster.coordinator.result(runId);
    expect(result).toMatchObject({ device: 'native', workers: 2 });
    expect(result.device_detail).toMatchObject([{ device: 'native', name: 'native C++' }]);
    const said = lines.filter((line) => line.includes('other bits'));
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(
      /worker second would give other bits \(portable v8 [\d.]+\) than first \(native fma\)/,
    );
    // It is there for a run that it can serve alone.
    await first.leave();
    const later = await cluster.submit({
      dataset,
      runDir: runDir(),
      settings: { ...settings, 'ials.factors': 4 },
    });
    expect(await cluster.coordinator.result(later)).toMatchObject({ device: 'portable', workers: 1 });
  });

  it('all work where bits may differ, the fast one more, and the result names both', async () => {
    const dir = runDir();
    const mixed = { ...settings, 'train.epochs': 6, 'train.deterministic': false };
    const runId = await cluster.submit({ dataset, runDir: dir, settings: mixed, expectedWorkers: 2 });
    cluster.addWorker({ name: 'fast', openDevice: opening(() => native).openDevice });
    cluster.addWorker({ name: 'slow', openDevice: opening(() => ({ delayMs: 60 })).openDevice });
    const result = await cluster.coordinator.result(runId);
    expect(result.device).toBe('native+portable');
    expect(result.device_detail.map(({ device }) => device).sort()).toEqual(['native', 'portable']);
    const { lineage } = (await openModel(dir)).manifest;
    expect(lineage.devices).toEqual(result.device_detail);
    expect(await readFile(path.join(dir, 'report.html'), 'utf8')).toContain('native C++');
    const lines = (await readFile(path.join(dir, 'metrics.jsonl'), 'utf8')).trim().split('\n');
    const blocks = { fast: 0, slow: 0 };
    for (const line of lines.slice(4)) {
      const phase = JSON.parse(line) as { workers: ('fast' | 'slow')[]; blocks: number[][] };
      for (const [, worker] of phase.blocks) blocks[phase.workers[worker!]!]++;
    }
    expect(blocks.slow).toBeLessThan(blocks.fast / 2);
  });
});
