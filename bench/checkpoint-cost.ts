// What it costs to make every phase end durable: CPU time, time to the disk, and what of it a run waits for.
// Usage: node dist/bench/checkpoint-cost.js [FOLDER] (default: the system's temporary folder, which must be on a disk)

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { systemClock } from '../common/clock.js';
import { DiskGuard } from '../coordinator/journal/disk-guard.js';
import { ParameterStore } from '../coordinator/parameters/parameter-store.js';
import { parseRunConfig } from '../coordinator/plan/run-config.js';
import { openStateFolder } from '../coordinator/state-folder.js';
import { snapshotOf } from '../coordinator/training/checkpoint.js';
import { Checkpoints } from '../coordinator/training/checkpoints.js';

/** MovieLens 20M: 138,493 users, 26,744 items. */
const SHAPE = { users: 138_493, items: 26_744, factors: 64 };
const EPOCHS = 10;

const folder = await mkdtemp(path.join(process.argv[2] ?? os.tmpdir(), 'stoa-checkpoints-'));
const log = pino({ level: 'warn' }, pino.destination(2));
const onFatal = (error: Error): never => {
  throw error;
};
try {
  const state = await openStateFolder({ dir: folder, diskReserveBytes: 0, clock: systemClock, log, onFatal });
  const store = new ParameterStore(SHAPE);
  const run = { runId: 'cost', plan: 'cost', config: parseRunConfig({ 'ials.factors': SHAPE.factors }) };
  const journalMs: number[] = [];
  const checkpoints = new Checkpoints({
    dir: path.join(folder, 'checkpoints'),
    keep: 2,
    fence: state.fence,
    guard: new DiskGuard(folder, 0),
    signal: new AbortController().signal,
    clock: systemClock,
    log,
    acknowledge: async (end) => {
      const startMs = performance.now();
      await state.journal.append({ kind: 'phase', run_id: 'cost', end });
      journalMs.push(performance.now() - startMs);
    },
    onWaiting: () => {},
    onFatal,
  });
  const epochs: { cpuMs: number; diskMs: number }[] = [];
  for (let epoch = 0; epoch <= EPOCHS; epoch++) {
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    for (const [n, side] of (['users', 'items'] as const).entries()) {
      store.tables.commit(side);
      checkpoints.begin(snapshotOf(store, run, 2 * epoch + n + 1), async () => {});
      await checkpoints.settle();
    }
    const { user, system } = process.cpuUsage(cpu);
    // The first one writes both tables twice, and warms up.
    if (epoch > 0) epochs.push({ cpuMs: (user + system) / 1000, diskMs: performance.now() - startMs });
  }
  const megabytes = store.tables.byteLength / 1e6;
  console.log(
    JSON.stringify({
      ...SHAPE,
      megabytes_an_epoch: Math.round(megabytes),
      cpu_ms_an_epoch: Math.round(median(epochs.map(({ cpuMs }) => cpuMs))),
      disk_ms_an_epoch: Math.round(median(epochs.map(({ diskMs }) => diskMs))),
      journal_ms_a_record: Number(median(journalMs).toFixed(2)),
    }),
  );
  await state.close();
} finally {
  await rm(folder, { recursive: true, force: true });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
