// A process that does nothing but end phases, as fast as the disk takes them: journal and checkpoints as a coordinator
// has them, over made-up tables. It says each phase that was acknowledged on stdout, and is there to be killed.
// Usage: node phase-writer.js FOLDER

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { pino } from 'pino';
import { systemClock } from '../../common/clock.js';
import { DiskGuard } from '../../coordinator/journal/disk-guard.js';
import { parseRunConfig } from '../../coordinator/plan/run-config.js';
import { openStateFolder } from '../../coordinator/state-folder.js';
import { Checkpoints } from '../../coordinator/training/checkpoints.js';
import { RUN_ID, snapshotAt } from './made-up-phases.js';

const dir = process.argv[2]!;
const log = pino({ level: 'warn' }, pino.destination(2));
const onFatal = (error: Error): never => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
};
const state = await openStateFolder({ dir, diskReserveBytes: 0, clock: systemClock, log, onFatal });
const checkpointsDir = path.join(dir, 'checkpoints');
await mkdir(checkpointsDir, { recursive: true });
if (!state.journal.state.runs.has(RUN_ID)) {
  await state.journal.append({
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
  fence: state.fence,
  guard: new DiskGuard(dir, 0),
  signal: new AbortController().signal,
  clock: systemClock,
  log,
  acknowledge: (end) => state.journal.append({ kind: 'phase', run_id: RUN_ID, end }),
  onWaiting: () => {},
  onFatal,
});
const snapshot = await checkpoints.latest(state.journal.state.runs.get(RUN_ID)!.phases);
process.stdout.write(`resumed ${snapshot?.nextPhase ?? 0}\n`);
for (let next = (snapshot?.nextPhase ?? 0) + 1; ; next++) {
  checkpoints.begin(snapshotAt(next), async () => {});
  await checkpoints.settle();
  process.stdout.write(`acknowledged ${next}\n`);
}
