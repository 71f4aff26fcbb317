// `stoa demo` end to end, as a newcomer runs it: it tells its story, labels what is made up, and leaves nothing running.

import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { displayWidth } from '../../cli/text-table.js';
import { isAlive } from '../support/child-processes.js';
import { temporaryFolder } from '../support/small-data.js';
import { type StoaOutcome, stoa } from '../support/stoa-process.js';

let folder: string;
let remove: () => Promise<void>;
let told: StoaOutcome;
let asDocument: StoaOutcome;

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  told = await stoa(['demo'], { cwd: folder, timeoutMs: 120_000 });
  asDocument = await stoa(['demo', '--json'], { cwd: folder, timeoutMs: 120_000 });
}, 240_000);
afterAll(() => remove());

describe('the demo', () => {
  it('ends well, twice in the same folder, with all it made in .stoa-demo', async () => {
    expect(told.exitCode, told.stderr).toBe(0);
    expect(asDocument.exitCode, asDocument.stderr).toBe(0);
    expect(await readdir(folder)).toEqual(['.stoa-demo']);
    const made = await readdir(path.join(folder, '.stoa-demo'));
    expect(made).toEqual(expect.arrayContaining(['enrolments.csv', 'dataset', 'split', 'state', 'run']));
  });

  it('leaves no process', () => {
    const { pids } = JSON.parse(asDocument.stdout) as { pids: number[] };
    expect(pids).toHaveLength(3);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it('says that its data are synthetic where it shows them', () => {
    const learners = told.stdout.slice(told.stdout.indexOf('what should'));
    expect(told.stdout.slice(0, 300)).toMatch(/synthetic/);
    expect(told.stdout).toMatch(/trained ials on [\d,]+ synthetic interactions/);
    expect(learners).toMatch(/synthetic learners/);
  });

  it('shows a model that ranks better than popularity and item-kNN', () => {
    const { metrics } = JSON.parse(asDocument.stdout);
    for (const name of ['hr@10', 'ndcg@10']) {
      expect(metrics[name]).toBeGreaterThan(metrics.baselines.popular[name]);
      expect(metrics[name]).toBeGreaterThan(metrics.baselines.itemknn[name]);
    }
  });

  it('recommends courses by title that the learner had not taken, and popular ones to a stranger', () => {
    const { learners } = JSON.parse(asDocument.stdout);
    expect(learners.map(({ reason }: { reason: string }) => reason)).toEqual([
      'REASON_PERSONALIZED',
      'REASON_PERSONALIZED',
      'REASON_PERSONALIZED',
      'REASON_POPULAR',
    ]);
    for (const { taken, items } of learners) {
      expect(items).toHaveLength(4);
      for (const { title } of items) {
        expect(title).toMatch(/\w{3}/);
        expect(taken).not.toContain(title);
      }
    }
  });

  it('fits 80 columns', () => {
    const wide = told.stdout.split('\n').filter((line) => displayWidth(line) > 80 && !line.startsWith('$ '));
    expect(wide).toEqual([]);
  });

  it('shows commands for going on that work', async () => {
    const command = /npx (stoa similar .*)/.exec(told.stdout)![1]!;
    const outcome = await stoa(command.split(' ').slice(1), { cwd: folder });
    expect(outcome).toMatchObject({ exitCode: 0 });
    expect(outcome.stdout.split('\n').length).toBeGreaterThan(5);
  });
});
