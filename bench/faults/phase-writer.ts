// A process that does nothing but lend blocks and end phases, as fast as the disk takes them: schedule, journal and
// checkpoints as a coordinator has them, over made-up tables and a made-up worker. It says on stdout what it has lent
// and which phase is acknowledged, and is there to be killed.
// Usage: node phase-writer.js FOLDER

import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { pino } from 'pino';
import { systemClock } from '../../common/clock.js';
import { DiskGuard } from '../../coordinator/journal/disk-guard.js';
import { lockFolder } from '../../coordinator/journal/folder-lock.js';
import { Journal } from '../../coordinator/journal/journal.js';
import { listTerms } from '../../coordinator/journal/read-terms.js';
import { soleFence } from '../../coordinator/leader/fence.js';
import { parseRunConfig } from '../../coordinator/plan/run-config.js';
import type { Phase } from '../../coordinator/schedule/events.js';
import { Checkpoints } from '../../coordinator/training/checkpoints.js';
import { ScheduleHost } from '../../coordinator/training/schedule-host.js';
import { madeUpTask, madeUpWorker, RUN_ID, snapshotAt } from './made-up-phases.js';

const dir = process.argv[2]!;
const log = pino({ level: 'error' }, pino.destination(2));
const onFatal = (error: Error): never => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
};
await mkdir(dir, { recursive: true });
await lockFolder(dir, `the folder ${dir}`);
const guard = new DiskGuard(dir, 0);
const journalDir = path.join(dir, 'journal');
const fence = soleFence(1 + ((await listTerms(journalDir)).at(-1) ?? 0));
const journal = await Journal.open({ dir: journalDir, fence, guard, clock: systemClock, log, onFatal });
const checkpointsDir = path.join(dir, 'checkpoints');
await mkdir(checkpointsDir, { recursive: true });
if (!journal.state.runs.has(RUN_ID)) {
  await journal.append({
    kind: 'submitted',
    config: parseRunConfig({}),
    record: {
      format: 'stoa-run',
      version: 1,
      run_id: RUN_ID,
      state: 'queued',
      create_time: systemClock.date().toISOString(),
      dataset: dir,
      dataset_fingerprint: '',
      active_ms: 0,
      phases_done: 0,
    },
  });
}
const checkpoints = new Checkpoints({
  dir: checkpointsDir,
  keep: 2,
  fence,
  guard,
  signal: new AbortController().signal,
  clock: systemClock,
  log,
  acknowledge: (end) => journal.append({ kind: 'phase', run_id: RUN_ID, end }),
  onWaiting: () => {},
  onFatal,
});
const snapshot = await checkpoints.latest(journal.state.runs.get(RUN_ID)!.phases);
const phaseStart = snapshot?.nextPhase ?? 0;
process.stdout.write(`resumed ${phaseStart}\n`);

const host = new ScheduleHost({ clock: systemClock, log, term: fence.term });
const sessionId = host.register(madeUpWorker());
host.start(madeUpTask(phaseStart), {
  phaseOpened: () => {},
  blockAccepted: () => {},
  phaseCompleted: async ({ index }: Phase) => {
    checkpoints.begin(snapshotAt(index + 1), async () => {});
    await checkpoints.settle();
    process.stdout.write(`acknowledged ${index + 1}\n`);
  },
  ended: () => {},
});
for (;;) {
  host.heartbeat(sessionId, 0);
  for (const { leaseId, phase, block } of await host.lease(sessionId, randomUUID(), 4, 1000)) {
    process.stdout.write(`lent ${leaseId} ${phase.index} ${block.index}\n`);
    const result = { runId: RUN_ID, side: phase.side, block: block.index, clock: phase.priorClock + 1 };
    host.deliver({ ...result, sessionId, leaseId, gram: new Float64Array(0), solveMs: 1 });
  }
}
