// Federated training by real processes: equal to central training, checked by the log of each institution; and across
// "machines", where participants find a coordinator by its address and one of them is killed.

import { readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FederatedReport, ReportRow } from '../../cli/federated-report.js';
import { openModel } from '../../coordinator/registry/model-folder.js';
import { relativeDistance } from '../../models/relative-distance.js';
import { childrenOf, untilGone } from '../support/child-processes.js';
import { temporaryFolder, writeSmallCsv } from '../support/small-data.js';
import { type StoaProcess, startStoa, stoa } from '../support/stoa-process.js';

const TEST_MS_MAX = 240_000;
const RUN_MS_MAX = 200_000;

let folder: string;
let remove: () => Promise<void>;
let split: string;
let central: Awaited<ReturnType<typeof openModel>>;
const started: StoaProcess[] = [];

const at = (...names: string[]): string => path.join(folder, ...names);
const SETTINGS = ['--set', 'ials.factors=64', '--set', 'train.epochs=10', '--threads', '1'];

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  const csv = await writeSmallCsv(folder, { users: 400, items: 80, perUser: 9 });
  split = at('split');
  expect(await stoa(['data', 'import', csv, '--out', at('dataset')])).toMatchObject({ exitCode: 0 });
  const how = ['--strategy', 'leave-last-out', '--out', split];
  expect(await stoa(['data', 'split', at('dataset'), ...how])).toMatchObject({ exitCode: 0 });
  const trained = await stoa(['train', '--data', split, '--out', at('central'), ...SETTINGS], {
    timeoutMs: RUN_MS_MAX,
  });
  expect(trained.exitCode).toBe(0);
  central = await openModel(at('central'));
}, TEST_MS_MAX);
afterAll(async () => {
  for (const { child } of started) child.kill('SIGKILL');
  await remove();
});

describe('stoa train --federated', () => {
  it.each([
    ['without masks', 'by-user', ['--set', 'federated.masking=false'], 1e-5],
    ['with masks', 'skewed', [], 1e-4],
  ] as const)(
    '%s gives the model of central training',
    async (name, partition, extra, tolerance) => {
      const run = at(name);
      const args = ['--federated', '--participants', '5', '--partition', partition, ...SETTINGS, ...extra];
      const process = startStoa(['train', '--data', split, '--out', run, ...args, '--json'], {
        timeoutMs: RUN_MS_MAX,
      });
      await process.saying(/sweep 1 of 10/);
      const children = await childrenOf(process.child.pid!);
      expect(children.length).toBe(5);
      const { exitCode, stdout, stderr } = await process.ended;
      expect(stderr).not.toMatch(/stoa: /);
      expect(exitCode).toBe(0);
      await untilGone(children, 5000);
      const result = JSON.parse(stdout);
      expect(result).toMatchObject({
        users: 400,
        items: 80,
        interactions: 400 * 8,
        epochs: 10,
        solver: 'cholesky',
      });
      expect(result.federated).toMatchObject({
        participants: 5,
        rounds: 11,
        rounds_failed: 0,
        sweeps_cut: 0,
      });
      const model = await openModel(run);
      expect(model.userIds).toEqual(central.userIds);
      expect(relativeDistance(model.itemFactors, central.itemFactors)).toBeLessThan(tolerance);
      expect(relativeDistance(model.userFactors, central.userFactors)).toBeLessThan(tolerance);
      const metrics = result.metrics as Record<string, number>;
      const expected = central.manifest.metrics as Record<string, number>;
      for (const metric of ['recall@20', 'ndcg@10']) {
        expect(Math.abs(metrics[metric]! - expected[metric]!), metric).toBeLessThan(5e-4);
      }
      await checkInstitution(run);
    },
    TEST_MS_MAX,
  );

  /** What left is in the log, and the institution serves its own learners. */
  async function checkInstitution(run: string): Promise<void> {
    const audit = path.join(run, 'participants', 'institution-2', 'identity', 'audit');
    const checked = await stoa(['audit', 'verify', audit, '--json']);
    expect(checked.exitCode).toBe(0);
    const said = JSON.parse(checked.stdout);
    expect(said).toMatchObject({ rounds: 11 });
    const kinds = Object.keys(said.messages).filter((kind) => /sum over learners.* has left$/.test(kind));
    expect(kinds.map((kind) => said.messages[kind].messages)).toEqual([11]);
    const dir = path.join(run, 'participants', 'institution-2', 'model');
    const own = await openModel(dir);
    expect(own.users).toBeLessThan(200);
    const answer = await stoa([
      'recommend',
      '--model',
      dir,
      '--user',
      own.userIds[0]!,
      '--limit',
      '3',
      '--json',
    ]);
    expect(answer.exitCode).toBe(0);
    const wholly = await stoa([
      'recommend',
      '--model',
      run,
      '--user',
      own.userIds[0]!,
      '--limit',
      '3',
      '--json',
    ]);
    expect(JSON.parse(answer.stdout).items).toEqual(JSON.parse(wholly.stdout).items);
  }

  it(
    '--report puts central, federated, masked, private and alone side by side',
    async () => {
      const settings = ['--set', 'ials.factors=8', '--set', 'train.epochs=2', '--threads', '1', '--json'];
      const args = ['--federated', '--report', '--participants', '5', '--partition', 'skewed', ...settings];
      const { exitCode, stdout, stderr } = await stoa(
        ['train', '--data', split, '--out', at('report'), ...args],
        {
          timeoutMs: RUN_MS_MAX,
        },
      );
      expect(exitCode, stderr).toBe(0);
      const { rows, users } = JSON.parse(stdout) as FederatedReport;
      expect(rows.map(({ name }) => name)).toEqual([
        'central',
        'federated',
        'with masks',
        'masks and ε = 5',
        'each alone',
      ]);
      const [inOne, together, masked, noised, alone] = rows as [
        ReportRow,
        ReportRow,
        ReportRow,
        ReportRow,
        ReportRow,
      ];
      expect(users.reduce((sum, n) => sum + n, 0)).toBe(400);
      expect(together.distance).toBeLessThan(1e-5);
      expect(masked.distance).toBeLessThan(1e-4);
      for (const row of [together, masked]) {
        expect(Math.abs(row.metrics['recall@20']! - inOne.metrics['recall@20']!)).toBeLessThan(5e-4);
        expect(row.institutions.length).toBe(5);
      }
      // A census, and in each sweep the Gram and the sums of 80 items: in f32, in words, and in f64.
      expect(together.bytes_up).toBe(8 * 81 + 4 * 2 * (36 + 80 * 44));
      expect(masked.bytes_up).toBe(8 * (81 + 2 * (36 + 80 * 44)));
      expect(noised.bytes_up).toBe(8 * (81 + 2 * (36 + 80 * 8)));
      expect(noised.metrics['recall@20']).not.toBe(masked.metrics['recall@20']);
      // Two kinds of users who share no item: a twentieth of them know little of either.
      expect(alone.metrics['recall@20']).toBeLessThan(inOne.metrics['recall@20']!);
    },
    TEST_MS_MAX,
  );

  it('refuses what does not go together, and starts nothing', async () => {
    const train = (...args: string[]) =>
      stoa(['train', '--data', split, '--out', at('none'), '--federated', ...args]);
    const refusals: [string[], string][] = [
      [['--participants', '3'], 'a sum is of 5 participants at least and 3 are to take part'],
      [['--partition', 'by-column:school'], 'the items have no column "school"'],
      [['--workers', '2'], '--workers does not go with --federated'],
      [['--set', 'model=bpr'], 'model bpr does not train in a federation'],
      [['--set', 'federated.epsilon=1', '--set', 'ials.solver=cg'], 'privacy is for ials.solver = cholesky'],
      [['--listen', '127.0.0.1:0'], '--listen does not go with --data'],
    ];
    for (const [args, message] of refusals) {
      const { exitCode, stderr } = await train(...args);
      expect(stderr).toContain(message);
      expect(exitCode, message).toBe(2);
      expect(await readdir(folder)).not.toContain('none');
    }
  });
});

describe('a federation across machines', () => {
  it(
    'goes on when a participant is killed, takes it in again, and each has its own model',
    async () => {
      const parts = ['a', 'b', 'c'];
      for (const [n, name] of parts.entries()) {
        const csv = await writeSmallCsv(folder, { users: 60 + 10 * n, items: 40, perUser: 6 });
        expect((await stoa(['data', 'import', csv, '--out', at(name)])).exitCode).toBe(0);
      }
      const policy = at('policy.yaml');
      await writeFile(policy, 'cohort_min: 2\n');
      const coordinator = startStoa(
        [
          ...[
            'train',
            '--federated',
            '--listen',
            '127.0.0.1:0',
            '--participants',
            '3',
            '--out',
            at('hosted'),
          ],
          ...[
            '--set',
            'federated.cohort_min=2',
            '--set',
            'train.epochs=25',
            '--set',
            'ials.factors=8',
            '--json',
          ],
        ],
        { timeoutMs: RUN_MS_MAX },
      );
      started.push(coordinator);
      const [, address] = await coordinator.saying(/on (127\.0\.0\.1:\d+)/);
      const join = (name: string) => {
        const process = startStoa(
          [
            ...[
              'participant',
              '--coordinator',
              address!,
              '--data',
              at(name),
              '--identity',
              at(`${name}-identity`),
            ],
            ...['--name', name, '--policy', policy, '--out', at(`${name}-model`), '--threads', '1', '--json'],
          ],
          { timeoutMs: RUN_MS_MAX },
        );
        started.push(process);
        return process;
      };
      const [a, b, c] = parts.map(join);
      await coordinator.saying(/"sweep":2,/);
      c!.child.kill('SIGKILL');
      await c!.ended;
      const again = join('c');
      const outcomes = await Promise.all([a!.ended, b!.ended, again.ended, coordinator.ended]);
      for (const { exitCode, stderr } of outcomes) expect(exitCode, stderr).toBe(0);
      const result = JSON.parse(outcomes[3]!.stdout);
      expect(result.epoch_seconds.length).toBe(25);
      const models = await Promise.all(parts.map((name) => openModel(at(`${name}-model`))));
      const items = await openModel(at('hosted'));
      expect(items.users).toBe(0);
      for (const model of models) expect(relativeDistance(model.itemFactors, items.itemFactors)).toBe(0);
      expect(models.map(({ users }) => users)).toEqual([60, 70, 80]);
      for (const name of parts) {
        expect((await stoa(['audit', 'verify', at(`${name}-identity`, 'audit')])).exitCode).toBe(0);
      }
    },
    TEST_MS_MAX,
  );
});
