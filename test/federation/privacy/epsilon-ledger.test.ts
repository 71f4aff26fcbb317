// The ledger on a real disk: it refuses what the budget does not allow, counts what a killed process may have sent, and
// when it is damaged it says so and stops. A spend is two records' worth of μ² = 1/500² + 1/400² in the killed processes.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, copyFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../common/package-root.js';
import { createRandom } from '../../../common/random.js';
import {
  type Budget,
  EpsilonLedger,
  type SpendRequest,
} from '../../../federation/privacy/ledger/epsilon-ledger.js';
import { LEDGER_LINES } from '../../../federation/privacy/ledger/ledger-records.js';
import { privacyLoss } from '../../../federation/privacy/privacy-loss.js';

const options = { now: () => new Date(0) };
const BUDGET: Budget = { group: 'learners', epsilon: 2, runEpsilon: 1.2, delta: 1e-6 };
const KILLS = Math.max(12, Number(process.env['STOA_KILLS'] ?? 0));

let folder = '';
let dir = '';
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'stoa-ledger-'));
  dir = path.join(folder, 'ledger');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function create(
  budgets: readonly Budget[] = [BUDGET],
  adjacency: 'add-remove' | 'replace-one' = 'add-remove',
) {
  return EpsilonLedger.create(dir, { ledgerId: 'a', adjacency, budgets }, options);
}

function request(round: number, o: Partial<SpendRequest> = {}, noiseMultiplier = 40): SpendRequest {
  const releases = ['gram', 'statistics', 'targets'].map((name) => ({ name, noiseMultiplier }));
  return { group: 'learners', run: 'run', round: `sweep ${round}`, releases, ...o };
}

function epsilonOfRounds(rounds: number, noiseMultiplier = 40): number {
  return privacyLoss([{ noiseMultiplier, count: 3 * rounds }], { delta: 1e-6, adjacency: 'add-remove' })
    .epsilon;
}

const ledgerFile = () => path.join(dir, 'ledger.jsonl');
const headFile = () => path.join(dir, 'ledger-head.json');

describe('a ledger', () => {
  it('adds up what was spent, over runs and openings', async () => {
    const first = await create();
    await first.spend(request(1));
    await first.spend(request(2));
    await first.close();
    const second = await EpsilonLedger.open(dir, options);
    await second.spend(request(1, { run: 'other' }));
    expect(second.spent('learners').epsilon).toBeCloseTo(epsilonOfRounds(3), 9);
    expect(second.spent('learners', 'run').epsilon).toBeCloseTo(epsilonOfRounds(2), 9);
    expect(second.spent('learners', 'other')).toMatchObject({ epsilonMax: 1.2 });
    expect(second.spent('learners', 'none').epsilon).toBe(0);
    await second.close();
  });

  it('refuses the round that would exceed the budget of a run, and takes part in another run', async () => {
    const ledger = await create();
    let rounds = 0;
    while (epsilonOfRounds(rounds + 1) <= 1.2) await ledger.spend(request(++rounds));
    expect(rounds).toBeGreaterThan(3);
    const before = await readFile(ledgerFile());
    await expect(ledger.spend(request(rounds + 1))).rejects.toMatchObject({ code: 'STOA_BUDGET' });
    await expect(ledger.spend(request(rounds + 1))).rejects.toThrow(/run "run".*1\.2.*nothing was sent/);
    expect(await readFile(ledgerFile())).toEqual(before);
    await ledger.spend(request(1, { run: 'second' }));
    // What is small enough still fits.
    await ledger.spend(request(rounds + 1, {}, 4000));
    await ledger.close();
  });

  it('refuses the round that would exceed the budget of a group over all its runs, after an opening too', async () => {
    const ledger = await create();
    let rounds = 0;
    while (epsilonOfRounds(rounds + 1) <= 2) {
      rounds++;
      await ledger.spend(request(rounds, { run: `run ${rounds}` }));
    }
    await ledger.close();
    const again = await EpsilonLedger.open(dir, options);
    const next = request(1, { run: 'one more' });
    await expect(again.spend(next)).rejects.toThrow(/group "learners" to ε = /);
    await again.setBudget({ ...BUDGET, epsilon: 2.5 });
    await again.spend(next);
    await again.setBudget({ ...BUDGET, epsilon: 0.1 });
    await expect(again.spend(request(2, { run: 'one more' }, 4000))).rejects.toMatchObject({
      code: 'STOA_BUDGET',
    });
    await again.close();
  });

  it('keeps groups apart, and knows no group without a budget', async () => {
    const ledger = await create([BUDGET, { ...BUDGET, group: 'minors', epsilon: 0.1, runEpsilon: 0.1 }]);
    await expect(ledger.spend(request(1, { group: 'minors' }))).rejects.toMatchObject({
      code: 'STOA_BUDGET',
    });
    await ledger.spend(request(1));
    expect(ledger.spent('minors').muSquared).toBe(0);
    await expect(ledger.spend(request(1, { group: 'staff' }))).rejects.toThrow(/no budget for group "staff"/);
    await ledger.close();
  });

  it('takes twice the μ where learners are replaced', async () => {
    const ledger = await create([{ ...BUDGET, epsilon: 20, runEpsilon: 20 }], 'replace-one');
    await ledger.spend(request(1));
    const { epsilon } = privacyLoss([{ noiseMultiplier: 40, count: 3 }], {
      delta: 1e-6,
      adjacency: 'replace-one',
    });
    expect(ledger.spent('learners').epsilon).toBeCloseTo(epsilon, 9);
    await ledger.close();
  });

  it('does spends that overlap one after the other, and refuses those that come too late', async () => {
    const ledger = await create();
    const all = await Promise.allSettled(Array.from({ length: 60 }, (_, i) => ledger.spend(request(i))));
    const done = all.filter(({ status }) => status === 'fulfilled').length;
    expect(epsilonOfRounds(done)).toBeLessThanOrEqual(1.2);
    expect(epsilonOfRounds(done + 1)).toBeGreaterThan(1.2);
    await ledger.close();
    const again = await EpsilonLedger.open(dir, options);
    expect(again.spent('learners').epsilon).toBeCloseTo(epsilonOfRounds(done), 9);
    await again.close();
  });

  it('gives a permit for each release once', async () => {
    const ledger = await create();
    const releases = [
      { name: 'statistics', noiseMultiplier: 50 },
      { name: 'gram', noiseMultiplier: 60 },
    ];
    const permit = await ledger.spend(request(1, { releases }));
    expect(permit.take('gram')).toBe(60);
    expect(permit.left).toEqual(['statistics']);
    expect(permit.take('statistics')).toBe(50);
    for (const name of ['gram', 'targets']) expect(() => permit.take(name)).toThrow(/nothing was sent/);
    await expect(ledger.spend(request(2, { releases: [...releases, releases[0]!] }))).rejects.toThrow(
      /one name/,
    );
    await ledger.close();
  });

  it('is never begun over another, nor by opening where there is none', async () => {
    await expect(EpsilonLedger.open(dir, options)).rejects.toMatchObject({ code: 'STOA_NOT_FOUND_FILE' });
    const ledger = await create();
    await ledger.spend(request(1));
    await ledger.close();
    await expect(create()).rejects.toMatchObject({ code: 'STOA_EXISTS' });
    const again = await EpsilonLedger.open(dir, options);
    expect(again.spent('learners').muSquared).toBeGreaterThan(0);
    await again.close();
  });

  it('notices another process that writes to it, and spends no more', async () => {
    const ledger = await create();
    const other = await EpsilonLedger.open(dir, options);
    await other.spend(request(1));
    await expect(ledger.spend(request(1))).rejects.toMatchObject({ code: 'STOA_LEDGER_CHANGED' });
    await expect(ledger.spend(request(1))).rejects.toMatchObject({ code: 'STOA_LEDGER_CHANGED' });
    await other.spend(request(2));
    await Promise.all([ledger.close(), other.close()]);
  });
});

/** A ledger of some spends, closed; answers what it holds. */
async function filled(): Promise<{ bytes: Buffer; muSquared: number }> {
  const ledger = await create();
  await ledger.spend(request(1, { run: 'ünïcode \u2028 "run"' }));
  await ledger.spend(request(2));
  const { muSquared } = ledger.spent('learners');
  await ledger.close();
  return { bytes: await readFile(ledgerFile()), muSquared };
}

describe('a damaged ledger', () => {
  it('refuses to go on after any one of its bytes has changed', async () => {
    const { bytes } = await filled();
    const random = createRandom(7);
    for (let at = 0; at < bytes.length; at++) {
      const spoiled = Buffer.from(bytes);
      spoiled[at]! ^= 1 << random.int(8);
      let acknowledged = -1;
      try {
        acknowledged = LEDGER_LINES.read(spoiled, 'ledger').records.length;
      } catch (error) {
        expect((error as { code: string }).code).toBe('STOA_LEDGER_DAMAGED');
      }
      // A newline that went is a torn line to the reader; the head then knows of one record more.
      if (acknowledged >= 4) expect.fail(`byte ${at} changed unseen`);
    }
    for (const at of [0, 70, bytes.length - 1, Math.floor(bytes.length / 2)]) {
      const spoiled = Buffer.from(bytes);
      spoiled[at]! ^= 1;
      await writeFile(ledgerFile(), spoiled);
      await expect(EpsilonLedger.open(dir, options)).rejects.toMatchObject({ code: 'STOA_LEDGER_DAMAGED' });
      expect(await readFile(ledgerFile())).toEqual(spoiled);
    }
  });

  it('refuses to go on when it was cut anywhere', async () => {
    const { bytes } = await filled();
    for (let length = bytes.length - 1; length >= 0; length -= 37) {
      await writeFile(ledgerFile(), bytes.subarray(0, length));
      await expect(EpsilonLedger.open(dir, options)).rejects.toMatchObject({ code: 'STOA_LEDGER_DAMAGED' });
    }
  });

  it('refuses to go on when a record in its middle is gone, or two have changed places', async () => {
    const { bytes } = await filled();
    const lines = bytes.toString().split('\n').slice(0, -1);
    for (const changed of [
      [lines[0], lines[1], lines[3]],
      [lines[0], lines[1], lines[3], lines[2]],
      [...lines, lines[3]],
    ]) {
      await writeFile(ledgerFile(), `${changed.join('\n')}\n`);
      await expect(EpsilonLedger.open(dir, options)).rejects.toMatchObject({ code: 'STOA_LEDGER_DAMAGED' });
    }
  });

  it('refuses to go on without its head, without its records, or with an altered head', async () => {
    await filled();
    const head = await readFile(headFile(), 'utf8');
    await rm(headFile());
    await expect(EpsilonLedger.open(dir, options)).rejects.toThrow(/its head is gone/);
    for (const altered of [head.replace('"sequence":4', '"sequence":3'), '', '{}', head.slice(0, -1)]) {
      await writeFile(headFile(), altered);
      await expect(EpsilonLedger.open(dir, options)).rejects.toMatchObject({ code: 'STOA_LEDGER_DAMAGED' });
    }
    await writeFile(headFile(), head);
    await rm(ledgerFile());
    await expect(EpsilonLedger.open(dir, options)).rejects.toThrow(/it is gone/);
  });

  it('refuses to go on with the records of another one', async () => {
    await filled();
    const other = path.join(folder, 'other');
    const budgets = [{ ...BUDGET, epsilon: 100, runEpsilon: 100 }];
    const ledger = await EpsilonLedger.create(
      other,
      { ledgerId: 'b', adjacency: 'add-remove', budgets },
      options,
    );
    for (const round of [1, 2, 3]) await ledger.spend(request(round));
    await ledger.close();
    await copyFile(path.join(other, 'ledger.jsonl'), ledgerFile());
    await expect(EpsilonLedger.open(dir, options)).rejects.toThrow(/another one than that of its head/);
  });
});

describe('a ledger whose process ended while it wrote', () => {
  it('drops an incomplete line, which was never acknowledged, at any length', async () => {
    const { bytes, muSquared } = await filled();
    const { heads } = LEDGER_LINES.read(bytes, 'ledger');
    const { line } = LEDGER_LINES.encode(heads.at(-1)!, {
      kind: 'spend',
      group: 'learners',
      run: 'run',
      round: 'sweep 3',
      releases: [{ name: 'gram', noiseMultiplier: 1 }],
      time: options.now().toISOString(),
    });
    for (let length = 1; length < line.length; length += 29) {
      await appendFile(ledgerFile(), line.slice(0, length));
      const ledger = await EpsilonLedger.open(dir, options);
      expect(ledger.spent('learners').muSquared).toBe(muSquared);
      await ledger.close();
      expect(await readFile(ledgerFile())).toEqual(bytes);
    }
  });

  it('counts a complete line as spent, though its head was not yet written', async () => {
    const { muSquared } = await filled();
    const before = await readFile(headFile());
    const ledger = await EpsilonLedger.open(dir, options);
    await ledger.spend(request(3));
    await ledger.close();
    await writeFile(headFile(), before);
    const again = await EpsilonLedger.open(dir, options);
    expect(again.spent('learners').muSquared).toBeCloseTo(muSquared * 1.5, 12);
    await again.close();
    // From here on it counts as acknowledged: losing it is damage.
    await truncate(ledgerFile(), (await readFile(ledgerFile())).length - 1);
    await expect(EpsilonLedger.open(dir, options)).rejects.toMatchObject({ code: 'STOA_LEDGER_DAMAGED' });
  });

  it(`has everything that was sent, after ${KILLS} kills of a real process at random moments`, async () => {
    const budgets = [{ ...BUDGET, epsilon: 1000, runEpsilon: 1000 }];
    await (await create(budgets)).close();
    const random = createRandom(Date.now() % 1e9);
    let sent = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      sent += await sentUntilKilled(random.int(5), random.next() * 15);
      const ledger = await EpsilonLedger.open(dir, options);
      const perRound = 1 / 500 ** 2 + 1 / 400 ** 2;
      const recorded = ledger.spent('learners').muSquared / perRound;
      await ledger.close();
      // Every kill may leave one round that was recorded and not sent; none may be sent and not recorded.
      expect(recorded).toBeGreaterThan(sent - 1e-6);
      expect(recorded).toBeLessThan(sent + kill + 1 + 1e-6);
    }
    expect(sent).toBeGreaterThan(KILLS);
  }, 120_000);
});

describe('a ledger on a disk that takes no more', () => {
  it('sends nothing for the line that did not fit, and goes on from there when there is room', async () => {
    const budgets = [{ ...BUDGET, epsilon: 1000, runEpsilon: 1000 }];
    await (await create(budgets)).close();
    // A file may have 4 KiB in this process: the write that would go beyond is cut short, as on a full disk.
    const child = spawn('bash', ['-c', `ulimit -f 4; exec "${process.execPath}" "${SPENDER}" "${dir}"`], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    const [code] = (await once(child, 'close')) as [number];
    expect(code).not.toBe(0);
    const sent = said.match(/^sent /gm)?.length ?? 0;
    expect(sent).toBeGreaterThan(3);
    const torn = await readFile(ledgerFile());
    expect(torn.length).toBe(4096);
    expect(torn.at(-1)).not.toBe(10);
    const ledger = await EpsilonLedger.open(dir, options);
    expect(ledger.spent('learners').muSquared / (1 / 500 ** 2 + 1 / 400 ** 2)).toBeCloseTo(sent, 6);
    await ledger.spend(request(1));
    await ledger.close();
    await (await EpsilonLedger.open(dir, options)).close();
  });
});

const shim = path.join(packageRoot, 'test/process/broken-sync.c');
const hasCompiler = process.platform === 'linux' && spawnSync('cc', ['--version']).status === 0;
const whyNoShim = hasCompiler ? '' : ' (skipped: no C compiler, or not Linux)';

describe.skipIf(!hasCompiler)(`a ledger on a disk that does not confirm${whyNoShim}`, () => {
  it('sends nothing from then on: what was not synced is not acknowledged', async () => {
    await (await create([{ ...BUDGET, epsilon: 1000, runEpsilon: 1000 }])).close();
    const library = path.join(folder, 'broken-sync.so');
    expect(spawnSync('cc', ['-shared', '-fPIC', '-o', library, shim, '-ldl']).status).toBe(0);
    const broken = path.join(folder, 'sync-is-broken');
    const child = spawn(process.execPath, [SPENDER, dir], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LD_PRELOAD: library, STOA_BROKEN_SYNC: broken },
    });
    const closed = once(child, 'close');
    let said = '';
    let failure = '';
    const sent = () => said.match(/^sent /gm)?.length ?? 0;
    child.stderr.setEncoding('utf8').on('data', (text: string) => (failure += text));
    await new Promise<void>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (sent() >= 3) resolve();
      });
    });
    await writeFile(broken, '');
    const before = sent();
    const [code] = (await closed) as [number];
    expect(code).not.toBe(0);
    expect(failure).toMatch(/the disk did not confirm .*EIO/);
    // One may have been past its syncs when the disk broke, and others on their way through the pipe.
    expect(sent()).toBeLessThanOrEqual(before + 5);
    const ledger = await EpsilonLedger.open(dir, options);
    const recorded = ledger.spent('learners').muSquared / (1 / 500 ** 2 + 1 / 400 ** 2);
    expect(recorded).toBeGreaterThan(sent() - 1e-6);
    expect(recorded).toBeLessThan(sent() + 1 + 1e-6);
    await ledger.close();
  });
});

const SPENDER = fileURLToPath(new URL('../../support/spend-epsilon.mjs', import.meta.url));

/** Lets a process spend until it has sent some rounds and a little longer, kills it, and answers how many it sent. */
async function sentUntilKilled(rounds: number, ms: number): Promise<number> {
  const child = spawn(process.execPath, [SPENDER, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  let said = '';
  const sent = () => said.match(/^sent /gm)?.length ?? 0;
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error('the process ended by itself')));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('ready') && sent() >= rounds) resolve();
    });
  });
  await sleep(ms);
  child.kill('SIGKILL');
  await closed;
  return sent();
}
