// What a run will take, before it runs, and what it does while it runs: the real program on small data.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { temporaryFolder, writeSmallCsv } from '../support/small-data.js';
import { startStoa, stoa } from '../support/stoa-process.js';

let folder: string;
let remove: () => Promise<void>;

const at = (name: string): string => path.join(folder, name);

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  const csv = await writeSmallCsv(folder, { users: 300, items: 60, perUser: 9 });
  expect(await stoa(['data', 'import', csv, '--out', at('data')])).toMatchObject({ exitCode: 0 });
});
afterAll(() => remove());

describe('stoa plan --simulate', () => {
  it('answers every number of workers, T / N beside it, and a drawing', async () => {
    const flags = ['--simulate', '1..4,16', '--network', '1Gbit', '--svg', at('speed-up.svg'), '--json'];
    const { exitCode, stdout, stderr } = await stoa(['plan', '--data', at('data'), ...flags]);
    expect(exitCode, stderr).toBe(0);
    const { simulation, place } = JSON.parse(stdout);
    expect(place).toEqual({ bytesPerSecond: 125e6 });
    expect(simulation.estimates.map(({ workers }: { workers: number }) => workers)).toEqual([1, 2, 3, 4, 16]);
    const [first] = simulation.estimates;
    expect(first.speedup).toBe(1);
    expect(simulation.simple[4].secondsPerEpoch).toBeCloseTo(first.secondsPerEpoch / 16, 12);
    expect([1, 2, 3, 4, 16]).toContain(simulation.recommended);
    const svg = await readFile(at('speed-up.svg'), 'utf8');
    expect(svg.match(/<circle/g)).toHaveLength(5);
  });

  it('says what parameter processes have, need and move, and plays the epochs through them', async () => {
    const flags = ['--workers', '2', '--parameters', '3', '--simulate', '1,2', '--network', '1Gbit'];
    const { exitCode, stdout, stderr } = await stoa(['plan', '--data', at('data'), ...flags, '--json']);
    expect(exitCode, stderr).toBe(0);
    const { parameters, simulation } = JSON.parse(stdout);
    expect(parameters.processes.map(({ name }: { name: string }) => name)).toEqual([
      'parameters-1',
      'parameters-2',
      'parameters-3',
    ]);
    const users = parameters.processes.map((one: { users: number }) => one.users);
    expect(users.reduce((sum: number, rows: number) => sum + rows)).toBe(300);
    expect(simulation.estimates).toHaveLength(2);
    const { stdout: text } = await stoa(['plan', '--data', at('data'), '--parameters', '1']);
    expect(text).toMatch(/of the rows +memory +through its link, an epoch/);
    expect(text).toMatch(/parameters-1 +100 % /);
  });

  it('says in words what limits each number and which is recommended', async () => {
    const { stdout } = await stoa(['plan', '--data', at('data'), '--simulate', '1,2,64']);
    expect(stdout).toMatch(/workers +an epoch +T \/ N +speed-up +limited by/);
    expect(stdout).toMatch(
      /^ +64 .* (computing|cores of the machine|coordinator|tail and barrier|too few blocks)$/m,
    );
    expect(stdout).toMatch(/^\d+ recommended: /m);
  });

  it.each([
    [['--simulate', '0..4'], '--simulate 0..4: expected numbers of workers'],
    [['--simulate', '4..1'], '--simulate 4..1: expected numbers of workers'],
    [['--network', 'fast'], '--network fast: expected the speed of a link'],
    [['--svg', 'x.svg'], '--svg draws what --simulate finds'],
    [['--simulate', '1..4', '--set', 'model=bpr'], '--simulate knows phases'],
  ])('refuses %j', async (flags, sentence) => {
    const { exitCode, stderr } = await stoa(['plan', '--data', at('data'), ...flags]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(sentence);
  });

  it('estimates a run that pushes and pulls by its clocks', async () => {
    const steps = async (n: number) => {
      const sets = ['--set', 'model=bpr', '--set', `train.steps=${n}`];
      return JSON.parse((await stoa(['plan', '--data', at('data'), ...sets, '--json'])).stdout).estimates;
    };
    const [few, many] = [await steps(2), await steps(8)];
    expect(many.flopsPerEpoch / few.flopsPerEpoch).toBeCloseTo(1, 6);
    expect(few.secondsPerEpoch).toBeGreaterThan(0);
  });
});

describe('stoa train --metrics', () => {
  it('shows phases, leases and bytes while it trains, and nothing afterwards', async () => {
    const address = `127.0.0.1:${await freePort()}`;
    const settings = ['--set', 'ials.factors=96', '--set', 'train.epochs=150', '--threads', '1'];
    const where = ['--data', at('data'), '--out', at('run'), '--metrics', address];
    const run = startStoa(['train', ...where, ...settings]);
    await run.saying(/epoch \d+\/150/);
    // The first epoch is shown before its first rows are in.
    await vi.waitFor(
      async () => {
        const response = await fetch(`http://${address}/metrics`);
        expect(response.status).toBe(200);
        const text = await response.text();
        expect(text).toMatch(/^stoa_row_bytes_total\{direction="in",way="\w+"\} [1-9]\d*$/m);
        expect(text).toMatch(/^stoa_\w*lease\w* /m);
      },
      { timeout: 20_000, interval: 100 },
    );
    run.child.kill('SIGINT');
    expect((await run.ended).exitCode).toBe(130);
    await expect(fetch(`http://${address}/metrics`)).rejects.toThrow();
  });

  it('is refused on a cluster, on an address that others reach, and on what is none', async () => {
    const train = (...flags: string[]) =>
      stoa(['train', '--data', at('data'), '--out', at('never'), ...flags]);
    const cluster = await train('--coordinator', '127.0.0.1:1', '--metrics', '127.0.0.1:2');
    expect(cluster).toMatchObject({ exitCode: 2 });
    expect(cluster.stderr).toContain('--metrics is decided where the coordinator runs');
    const open = await train('--metrics', '0.0.0.0:0');
    expect(open).toMatchObject({ exitCode: 2 });
    expect(open.stderr).toContain('refusing to show metrics on 0.0.0.0:0');
    expect(await train('--metrics', 'here')).toMatchObject({ exitCode: 2 });
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
