// Several coordinators over one state folder and a real etcd: leaders are killed, frozen and cut off while they train.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { credentials } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type EtcdProcess, findEtcd, startEtcd } from '../../bench/faults/etcd-process.js';
import { itemsHash, undisturbed } from '../../bench/faults/kill-coordinator.js';
import { freePort, ProcessCluster, type StoaChild } from '../../bench/faults/process-cluster.js';
import { TrainingClient } from '../../client/index.js';
import { fromServiceError } from '../../common/grpc-client-errors.js';
import { services } from '../../common/grpc-services.js';
import { listTerms, readTerm } from '../../coordinator/journal/read-terms.js';
import type { RunStatus__Output } from '../../proto/generated/stoa/training/v1/RunStatus.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { answered } from '../support/raw-worker.js';
import { temporaryFolder } from '../support/small-data.js';

const { program, reason } = findEtcd();
const TTL_SECONDS = 2;
// Runs that outlast what is done to them.
const SETTINGS = {
  ials: { 'ials.factors': 32, 'train.epochs': 60, 'ials.solver': 'cg' },
  bpr: { model: 'bpr', 'bpr.factors': 16, 'train.epochs': 25, 'train.steps': 4 },
};
type Model = keyof typeof SETTINGS;

interface Standing {
  port: number;
  process: StoaChild;
}

describe.skipIf(reason !== '')(
  `coordinators that stand in for one another${reason && ` (skipped: ${reason})`}`,
  () => {
    let folder: string;
    let remove: () => Promise<void>;
    let dataset: string;
    const expected = {} as Record<Model, string>;
    let etcd: EtcdProcess;
    let cluster: ProcessCluster;
    let coordinators: Standing[];
    let workers: StoaChild[];
    let client: TrainingClient;
    let count = 0;

    beforeAll(async () => {
      ({ folder, remove } = await temporaryFolder());
      dataset = path.join(folder, 'data');
      await writeInteractions(dataset, randomInteractions({ users: 2500, items: 400, perUser: 15 }));
      for (const model of ['ials', 'bpr'] as const) {
        const calm = { folder: path.join(folder, `calm-${model}`), dataset, settings: SETTINGS[model] };
        expected[model] = await undisturbed(calm);
      }
    }, 240_000);

    afterAll(() => remove());

    beforeEach(async () => {
      count++;
      etcd = await startEtcd(program, path.join(folder, `etcd-${count}`));
      cluster = new ProcessCluster(path.join(folder, `cluster-${count}`));
      coordinators = [];
      for (let n = 0; n < 2; n++) {
        const port = await freePort();
        coordinators.push({ port, process: startCoordinator(port) });
      }
      const ports = coordinators.map(({ port }) => port);
      client = new TrainingClient({
        address: ports.map((port) => `127.0.0.1:${port}`).join(','),
        deadlineMs: 30_000,
      });
      workers = ['w1', 'w2'].map((name) => cluster.worker(name, ports));
    });

    afterEach(async ({ task }) => {
      if (task.result?.state === 'fail') {
        const said = [...coordinators.map(({ process }) => process), ...workers].map((one) =>
          one.said().slice(-3000),
        );
        console.log(said.join('\n---\n'));
      }
      client.close();
      await cluster.close();
      await etcd.kill();
    });

    function startCoordinator(port: number): StoaChild {
      return cluster.coordinator(port, '--etcd', etcd.url, '--leader-ttl', String(TTL_SECONDS));
    }

    /** Submits a run and waits until it has some epochs. */
    async function trainingRun(model: Model = 'ials'): Promise<string> {
      const datasetFingerprint = await client.uploadDataset(dataset);
      const runId = await client.submitRun({ datasetFingerprint, config: SETTINGS[model] });
      await until(runId, ({ epochsDone }) => epochsDone >= 5);
      return runId;
    }

    /** Submits a run to one coordinator, once. */
    async function submitAt(port: number): Promise<void> {
      const datasetFingerprint = await client.uploadDataset(dataset);
      const one = new services.training.v1.TrainingService(`127.0.0.1:${port}`, credentials.createInsecure());
      const request = { requestId: 'late', datasetFingerprint, configJson: '{}' };
      try {
        await answered((done) => one.SubmitRun(request, done));
      } catch (error) {
        throw fromServiceError(error);
      } finally {
        one.close();
      }
    }

    async function until(
      runId: string,
      isSo: (run: RunStatus__Output) => boolean,
    ): Promise<RunStatus__Output> {
      for await (const run of client.watchRun(runId)) {
        if (run.state === 'RUN_STATE_FAILED') throw new Error(run.error);
        if (isSo(run)) return run;
      }
      throw new Error('the run ended before');
    }

    async function modelOf(runId: string): Promise<string> {
      for await (const { state, error } of client.watchRun(runId))
        if (state === 'RUN_STATE_FAILED') throw new Error(error);
      return itemsHash(path.join(cluster.stateDir, 'runs', runId));
    }

    async function leader(): Promise<Standing> {
      for (;;) {
        const leading = coordinators.filter(({ process }) =>
          /"leading"|leading\b(?!.*no more)/.test(lastRole(process)),
        );
        if (leading.length === 1) return leading[0]!;
        await sleep(100);
      }
    }

    it.each(['ials', 'bpr'] as const)(
      'have another lead within 5 s of the death of the leader, and a run of %s ends with the same bytes',
      async (model) => {
        const runId = await trainingRun(model);
        const victim = await leader();
        const epochs = (await client.getRun(runId)).epochsDone;
        await victim.process.kill();
        const killedMs = performance.now();
        await client.getRun(runId, { isPatient: true });
        const answeredMs = performance.now() - killedMs;
        await until(runId, ({ epochsDone }) => epochsDone > epochs);
        const goingOnMs = performance.now() - killedMs;
        expect(answeredMs).toBeLessThan(5000);
        // Workers have to come over, and the phases since the last checkpoint to be done again.
        expect(goingOnMs).toBeLessThan(10_000);
        expect(await modelOf(runId)).toBe(expected[model]);
        const terms = await listTerms(path.join(cluster.stateDir, 'journal'));
        expect(terms).toEqual([1, 2]);
      },
    );

    it('let a frozen leader that wakes up change nothing', async () => {
      const runId = await trainingRun();
      const frozen = await leader();
      frozen.process.child.kill('SIGSTOP');
      await sleep(2.5 * TTL_SECONDS * 1000);
      await client.getRun(runId, { isPatient: true });
      const other = coordinators.find(({ port }) => port !== frozen.port)!;
      await said(other.process, /leading/);
      const journalDir = path.join(cluster.stateDir, 'journal');
      const before = await readTerm(journalDir, 1);
      frozen.process.child.kill('SIGCONT');
      // Asked at once, before it can have looked at its clock by itself.
      // Not by the client, which would go on to the leader that is named.
      await expect(submitAt(frozen.port)).rejects.toMatchObject({ code: 'STOA_NOT_LEADER' });
      await said(frozen.process, /leading no more/);
      expect(await modelOf(runId)).toBe(expected.ials);
      expect((await client.listRuns()).map((run) => run.runId)).toEqual([runId]);
      // Not one record of the old term counts that the new leader did not take over.
      const next = await readTerm(journalDir, 2);
      const { after } = next.entries[0] as { after?: { sequence: number } };
      expect(after!.sequence).toBeGreaterThanOrEqual(before.head.sequence);
      const phases = next.entries.flatMap((entry) => (entry.kind === 'phase' ? [entry.end.next_phase] : []));
      expect(phases).toEqual([...phases].sort((a, b) => a - b));
      expect(new Set(phases).size).toBe(phases.length);
    });

    it('stop when etcd does not answer, and one goes on when it is back', async () => {
      const runId = await trainingRun();
      const leading = await leader();
      etcd.child.kill('SIGSTOP');
      await said(leading.process, /leading no more/);
      await sleep(2 * TTL_SECONDS * 1000);
      etcd.child.kill('SIGCONT');
      const { epochsDone } = await client.getRun(runId, { isPatient: true, deadlineMs: 30_000 });
      await until(runId, (run) => run.epochsDone > epochsDone);
      expect(await modelOf(runId)).toBe(expected.ials);
    });

    it('wait for an etcd that is gone, and lead in a later term when an empty one has taken its place', async () => {
      const leading = await leader();
      const standby = coordinators.find(({ port }) => port !== leading.port)!;
      const port = Number(new URL(etcd.url).port);
      await etcd.kill();
      await said(leading.process, /leading no more/);
      await said(standby.process, /etcd does not answer at .*waiting for it/);
      etcd = await startEtcd(program, path.join(folder, `etcd-${count}-again`), port);
      expect(await client.listRuns({ isPatient: true, deadlineMs: 30_000 })).toEqual([]);
      expect(await listTerms(path.join(cluster.stateDir, 'journal'))).toEqual([1, 2]);
    });

    it('tell where the leader is, and hand over at once when the leader is asked to leave', async () => {
      const leading = await leader();
      const standby = coordinators.find(({ port }) => port !== leading.port)!;
      const lonely = new TrainingClient({ address: { host: '127.0.0.1', port: standby.port } });
      expect(await lonely.listRuns()).toEqual([]);
      lonely.close();
      const startMs = performance.now();
      leading.process.child.kill('SIGTERM');
      await said(standby.process, /leading/);
      expect(performance.now() - startMs).toBeLessThan(TTL_SECONDS * 1000 + 2000);
      await leading.process.ended;
      expect(leading.process.child.exitCode).toBe(0);
      expect(JSON.parse(await readFile(path.join(cluster.stateDir, '.lock'), 'utf8')).pid).toBe(
        standby.process.child.pid,
      );
    });
  },
  100_000,
);

/** The last line in which a coordinator said what it is. */
function lastRole({ said }: StoaChild): string {
  return (
    said()
      .split('\n')
      .filter((line) => /leading|leads|standing by/.test(line))
      .at(-1) ?? ''
  );
}

async function said({ said }: StoaChild, pattern: RegExp): Promise<void> {
  const endMs = performance.now() + 30_000;
  while (!pattern.test(said())) {
    if (performance.now() > endMs) throw new Error(`never said ${pattern}: ${said().slice(-2000)}`);
    await sleep(50);
  }
}
