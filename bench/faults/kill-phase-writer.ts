// Kills a process that ends phases at random instants of its writes, and looks what is left of what it acknowledged.

import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { systemClock } from '../../common/clock.js';
import { builtEntry } from '../../common/package-root.js';
import { createRandom } from '../../common/random.js';
import { DiskGuard } from '../../coordinator/journal/disk-guard.js';
import { applyEntry, emptyState, type JournalState } from '../../coordinator/journal/journal-state.js';
import { listTerms, readTerm } from '../../coordinator/journal/read-terms.js';
import { soleFence } from '../../coordinator/leader/fence.js';
import { journalDirOf } from '../../coordinator/state-folder.js';
import { Checkpoints } from '../../coordinator/training/checkpoints.js';
import { RUN_ID, snapshotAt } from './made-up-phases.js';

export interface PhaseKillReport {
  kills: number;
  /** Phases that were acknowledged; every one was there after the kill. */
  acknowledged: number;
  /** Kills that left a phase on disk, or a part of one, that had not been acknowledged yet. */
  inTheMiddle: number;
}

/** @throws an Error that says what was lost. */
export async function killPhaseWriter(options: {
  folder: string;
  kills: number;
  seed: number;
  /** Longest time from the first acknowledged phase to the kill. */
  lifeMsMax: number;
}): Promise<PhaseKillReport> {
  const { folder, kills, seed, lifeMsMax } = options;
  const random = createRandom(seed, 2);
  const report: PhaseKillReport = { kills, acknowledged: 0, inTheMiddle: 0 };
  let last = 0;
  for (let n = 0; n < kills; n++) {
    const life = await oneLife(folder, random.next() * lifeMsMax);
    if (life.resumed < last)
      throw new Error(`phase ${last} was acknowledged, phase ${life.resumed} was resumed`);
    report.acknowledged += life.acknowledged - life.resumed;
    last = life.acknowledged;
    if ((await phasesOnDisk(folder)) > last) report.inTheMiddle++;
  }
  return report;
}

async function oneLife(folder: string, lifeMs: number): Promise<{ resumed: number; acknowledged: number }> {
  const writer = spawn(
    process.execPath,
    [fileURLToPath(builtEntry('bench/faults/phase-writer.js')), folder],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const ended = new Promise<void>((resolve) => {
    writer.on('close', () => resolve());
  });
  let resumed = -1;
  let acknowledged = 0;
  const lines = createInterface({ input: writer.stdout });
  const isReady = new Promise<void>((resolve) => {
    lines.on('line', (line) => {
      const [word, number] = line.split(' ');
      if (word === 'resumed') resumed = Number(number);
      acknowledged = Number(number);
      resolve();
    });
  });
  await Promise.race([isReady, ended]);
  await sleep(lifeMs);
  writer.kill('SIGKILL');
  await ended;
  if (resumed < 0) throw new Error('the phase writer ended before it had read what is on disk');
  return { resumed, acknowledged };
}

/** The phase that a reader goes on from: its tables must have the numbers of that phase. */
async function phasesOnDisk(folder: string): Promise<number> {
  const acknowledged = (await journalState(folder)).runs.get(RUN_ID)?.phases ?? [];
  const reader = new Checkpoints({
    dir: path.join(folder, 'checkpoints'),
    keep: 2,
    fence: soleFence(1),
    guard: new DiskGuard(folder, 0),
    signal: new AbortController().signal,
    clock: systemClock,
    log: pino({ level: 'silent' }),
    acknowledge: async () => {},
    onWaiting: () => {},
    onFatal: () => {},
  });
  const found = await reader.latest(acknowledged);
  if (found === undefined) return 0;
  const expected = snapshotAt(found.nextPhase);
  for (const side of ['users', 'items'] as const) {
    const isSame = found.tables[side].every((value, n) => value === expected.tables[side][n]);
    if (!isSame) throw new Error(`${side} after phase ${found.nextPhase} are not those that were written`);
  }
  return Math.max(found.nextPhase, acknowledged.at(-1)?.next_phase ?? 0);
}

async function journalState(folder: string): Promise<JournalState> {
  const journalDir = journalDirOf(folder);
  const state = emptyState();
  for (const term of (await listTerms(journalDir)).reverse()) {
    const { entries, damage } = await readTerm(journalDir, term);
    // A term that was cut off before its first record was complete has acknowledged nothing.
    if (entries.length === 0) continue;
    if (damage !== undefined) throw new Error(`the journal is damaged after a kill: ${damage}`);
    for (const entry of entries) applyEntry(state, entry);
    break;
  }
  return state;
}
