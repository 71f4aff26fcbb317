// Kills a process that ends phases at random instants of its writes, and looks what is left of what it acknowledged.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
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
import { Checkpoints } from '../../coordinator/training/checkpoints.js';
import { RUN_ID, snapshotAt } from './made-up-phases.js';

export interface PhaseKillReport {
  kills: number;
  /** Phases that were acknowledged; every one was there after the kill. */
  acknowledged: number;
  /** Blocks that were lent; no lease id came twice, and no block of an acknowledged phase was lent again. */
  lent: number;
  /** Kills that left a phase on disk, or a part of one, that had not been acknowledged yet. */
  inTheMiddle: number;
  /** From the start of a process to the first block that it lent, milliseconds, of each. */
  goingOnMs: number[];
}

/** One in so many is killed before it has begun to work. */
const EARLY_EACH = 4;

/** @throws an Error that says what was lost, or given twice. */
export async function killPhaseWriter(options: {
  folder: string;
  kills: number;
  seed: number;
  /** Longest time from the first line of a process to the kill. */
  lifeMsMax: number;
  onKill?: (report: PhaseKillReport) => void;
}): Promise<PhaseKillReport> {
  const { folder, kills, seed, lifeMsMax, onKill } = options;
  const random = createRandom(seed, 2);
  const report: PhaseKillReport = { kills: 0, acknowledged: 0, lent: 0, inTheMiddle: 0, goingOnMs: [] };
  const leases = new Set<string>();
  let last = 0;
  while (report.kills < kills) {
    // Most are killed in the middle of their work; some while they take up what is there.
    const isEarly = report.kills % EARLY_EACH === EARLY_EACH - 1;
    const startMs = report.goingOnMs.at(-1) ?? lifeMsMax;
    const life = isEarly
      ? { ofProcessMs: startMs * (0.5 + random.next() / 2) }
      : { ofWorkMs: random.next() * lifeMsMax };
    const { lines, goingOnMs } = await oneLife(folder, life);
    const acknowledged = afterLife(lines, last, leases);
    report.kills++;
    report.acknowledged += acknowledged - last;
    report.lent = leases.size;
    if (goingOnMs !== undefined) report.goingOnMs.push(goingOnMs);
    last = acknowledged;
    if ((await phasesOnDisk(folder)) > last) report.inTheMiddle++;
    onKill?.(report);
  }
  return report;
}

/**
 * The phase that is acknowledged after a life.
 *
 * @param last acknowledged before it, at least.
 * @param leases ids that were given so far; those of this life are added.
 */
function afterLife(lines: readonly string[], last: number, leases: Set<string>): number {
  let acknowledged = last;
  for (const line of lines) {
    const [word, first, phase] = line.split(' ') as [string, string, string];
    if (word === 'lent') {
      if (leases.has(first)) throw new Error(`lease ${first} was given twice`);
      leases.add(first);
      if (Number(phase) < acknowledged)
        throw new Error(
          `a block of phase ${phase} was lent after phase ${acknowledged} had been acknowledged`,
        );
      continue;
    }
    if (Number(first) < acknowledged)
      throw new Error(`phase ${acknowledged} was acknowledged, then it ${word} phase ${first}`);
    acknowledged = Number(first);
  }
  return acknowledged;
}

/**
 * Starts a process and kills it, so long after its start or after its first line.
 *
 * @returns what it said, and after how long it lent the first block if it came to that.
 */
async function oneLife(
  folder: string,
  life: { ofProcessMs: number } | { ofWorkMs: number },
): Promise<{ lines: string[]; goingOnMs?: number }> {
  const startMs = performance.now();
  const program = fileURLToPath(builtEntry('bench/faults/phase-writer.js'));
  const writer = spawn(process.execPath, [program, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  let goingOnMs: number | undefined;
  const reader = createInterface({ input: writer.stdout });
  const ended = Promise.all([once(writer, 'close'), once(reader, 'close')]);
  const isWorking = new Promise<void>((resolve) => {
    reader.on('line', (line) => {
      lines.push(line);
      if (line.startsWith('lent')) goingOnMs ??= performance.now() - startMs;
      resolve();
    });
  });
  if ('ofWorkMs' in life) await Promise.race([isWorking, ended]);
  await sleep('ofWorkMs' in life ? life.ofWorkMs : life.ofProcessMs);
  writer.kill('SIGKILL');
  await ended;
  if (writer.signalCode !== 'SIGKILL') throw new Error(`the phase writer ended by itself: ${lines.at(-1)}`);
  return { lines, goingOnMs };
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
  const journalDir = path.join(folder, 'journal');
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
