// Whole federated runs over gRPC: they equal central training, masked or not, by every solver; who is lost is left out;
// who comes back goes on; what leaves under privacy is paid for.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { verifyAudit } from '../../../federation/audit/audit-log.js';
import { LEDGER_LINES } from '../../../federation/privacy/ledger/ledger-records.js';
import type { FederatedPlan } from '../../../federation/protocol/federated-plan.js';
import { runReleases } from '../../../federation/protocol/private-run.js';
import type { SolverOptions } from '../../../models/device.js';
import { relativeDistance } from '../../../models/relative-distance.js';
import { portableDevice } from '../../../worker/devices/portable.js';
import type { ParticipantResult } from '../../../worker/participant/participant.js';
import { DEFAULT_POLICY } from '../../../worker/participant/policy.js';
import { trainIals } from '../../evaluation/train-ials.js';
import { dataOf, ITEMS, nameOf, PLAN, RunningFederation, SEED } from './running-federation.js';

let running: RunningFederation | undefined;
afterEach(async () => {
  await running?.close();
  running = undefined;
});

const MASKED = { ...DEFAULT_POLICY };

async function train(plan: FederatedPlan, count = 5): Promise<ParticipantResult[]> {
  running = await RunningFederation.start(plan, count);
  const results = Promise.all(
    dataOf(count).parts.map((data, n) =>
      running!.participate(nameOf(n), data, plan.isMasked ? { policy: MASKED } : {}),
    ),
  );
  const outcome = await running.federation.outcome;
  expect(outcome).toMatchObject({ isComplete: true, cuts: 0, aborted: 0 });
  return results;
}

async function central(solver: SolverOptions, count = 5) {
  const device = await portableDevice.open({ threads: 1 });
  const { factors, sweeps, objective } = PLAN;
  const trained = await trainIals(device, dataOf(count).all, {
    factors,
    epochs: sweeps,
    objective,
    seed: SEED,
    solver,
  });
  await device.dispose();
  return trained;
}

describe('a federated run over gRPC', () => {
  it.each(['cholesky', 'cg', 'ials++'] as const)(
    'by %s comes to the factors of central training, with masks and without',
    async (name) => {
      const solver = { ...PLAN.solver, name };
      const { itemFactors, userFactors } = await central(solver);
      for (const isMasked of [false, true]) {
        const results = await train({ ...PLAN, solver, isMasked });
        const tolerance = isMasked ? 1e-4 : 1e-5;
        for (const { items } of results) expect(relativeDistance(items, itemFactors)).toBeLessThan(tolerance);
        const users = results.flatMap((result) => [...result.users]);
        expect(relativeDistance(users, userFactors)).toBeLessThan(tolerance);
        await running!.close();
      }
    },
  );

  it('begins with all that have joined, though fewer would do for a sum', async () => {
    running = await RunningFederation.start({ ...PLAN, cohortMin: 2 }, 5);
    const policy = { ...DEFAULT_POLICY, require_masking: false, cohort_min: 2 };
    const results = await Promise.all(
      dataOf(5).parts.map((data, n) => running!.participate(nameOf(n), data, { policy })),
    );
    const { rounds } = await running.federation.outcome;
    expect(rounds).toBe(PLAN.sweeps + 1);
    expect(results.map((result) => result.rounds)).toEqual(results.map(() => rounds));
    expect(results.map((result) => result.firstRound)).toEqual(results.map(() => 1));
  });

  it('agrees on items that participants name by keyed digests, and each has its own ids back', async () => {
    running = await RunningFederation.start(PLAN, 5);
    const catalogueKey = new Uint8Array(32).fill(7);
    const results = await Promise.all(
      dataOf(5).parts.map((data, n) => running!.participate(nameOf(n), data, { catalogueKey })),
    );
    const { catalogue } = await running.federation.outcome;
    expect(catalogue.names.length).toBe(ITEMS);
    for (const name of catalogue.names) expect(name).toMatch(/^[0-9a-f]{64}$/);
    for (const { data, catalogue: agreed } of results) {
      expect([...data.idsOf(agreed)].sort()).toEqual(await data.dataset.itemIds());
    }
  });

  it('goes on without a participant that is gone, and sums over those that are left', async () => {
    const timing = { presenceMs: 1500, answerMs: 3000 };
    let sweepsDone = 0;
    running = await RunningFederation.start({ ...PLAN, isMasked: true, sweeps: 4 }, 6, {
      timing,
      onSweep: () => {
        sweepsDone++;
      },
    });
    const leaving = new AbortController();
    const [lost, ...others] = dataOf(6).parts.map((data, n) =>
      running!.participate(nameOf(n), data, {
        policy: MASKED,
        ...(n === 0 ? { signal: leaving.signal } : {}),
      }),
    );
    const gone = expect(lost).rejects.toThrow();
    while (sweepsDone < 1) await sleep(20);
    leaving.abort();
    await gone;
    const outcome = await running.federation.outcome;
    expect(outcome).toMatchObject({ isComplete: true, rounds: 5 });
    const results = await Promise.all(others);
    for (const { items } of results) expect(relativeDistance(items, outcome.items)).toBe(0);
  });

  it('takes a participant in again that was killed and comes back', async () => {
    let sweepsDone = 0;
    const onSweep = () => {
      sweepsDone++;
    };
    running = await RunningFederation.start({ ...PLAN, isMasked: true, sweeps: 10 }, 6, { onSweep });
    const leaving = new AbortController();
    const { parts } = dataOf(6);
    const [lost, ...others] = parts.map((data, n) =>
      running!.participate(nameOf(n), data, {
        policy: MASKED,
        ...(n === 0 ? { signal: leaving.signal } : {}),
      }),
    );
    const gone = expect(lost).rejects.toThrow();
    while (sweepsDone < 2) await sleep(20);
    leaving.abort();
    await gone;
    const back = await running.participate(nameOf(0), parts[0]!, { policy: MASKED });
    const outcome = await running.federation.outcome;
    expect(outcome.isComplete).toBe(true);
    expect(back.rounds).toBeGreaterThan(0);
    expect(relativeDistance(back.items, outcome.items)).toBe(0);
    await Promise.all(others);
  });
});

describe('a run with privacy', () => {
  const plan: FederatedPlan = {
    ...PLAN,
    isMasked: true,
    privacy: {
      epsilon: 4,
      delta: 1e-6,
      adjacency: 'add-remove',
      rowsMax: 1,
      rowNormMax: 0.4,
      honestMin: 5,
    },
  };

  it('pays for every sum that leaves, before it leaves, and stays within its ε', async () => {
    const results = await train(plan);
    const folder = path.join(running!.dir, nameOf(2));
    const { entries } = await verifyAudit(path.join(folder, 'audit'));
    const sums = entries.filter(({ message }) => message === 'noised masked sum over learners has left');
    expect(sums.map(({ about }) => about)).toEqual([
      'census',
      ...[1, 2, 3].map((sweep) => `sweep ${sweep}, exchange 0: residual`),
    ]);
    const file = path.join(folder, 'ledger', 'ledger.jsonl');
    const { records } = LEDGER_LINES.read(await readFile(file), file);
    const spent = records.filter((record) => record.kind === 'spend');
    expect(spent.flatMap(({ releases }) => releases.map(({ name }) => name))).toEqual(
      runReleases(plan, ITEMS).map(({ name }) => name),
    );
    for (const [n, { time }] of spent.entries()) expect(time <= sums[n]!.time).toBe(true);
    const spending = sums.map(({ epsilon }) => epsilon!);
    expect(spending).toEqual([...spending].sort((a, b) => a - b));
    expect(spending.at(-1)).toBeLessThanOrEqual(4);
    expect(spending.at(-1)).toBeGreaterThan(3.99);
    expect(results[2]!.epsilon).toBe(spending.at(-1));
  });

  it('adds noise: two runs of the same data and seed differ, and without privacy they do not', async () => {
    const items = async (which: FederatedPlan) => {
      const [first] = await train(which);
      await running!.close();
      return first!.items;
    };
    expect(relativeDistance(await items(plan), await items(plan))).toBeGreaterThan(0.01);
    const { privacy: _, ...open } = plan;
    expect(relativeDistance(await items(open), await items(open))).toBe(0);
  });
});
