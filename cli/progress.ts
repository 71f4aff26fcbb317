// How a run in progress looks: epoch, phase, rows a second, time left, and one bar for each worker.

import type { RunStatus__Output } from '../proto/generated/stoa/training/v1/RunStatus.js';
import type { WorkerStatus__Output } from '../proto/generated/stoa/training/v1/WorkerStatus.js';
import type { Frame } from './live-display.js';
import { bytes, count, duration } from './quantities.js';
import { cut } from './text-table.js';

/** Workers with a bar of their own; the rest is counted in one line, so that the display fits a screen. */
const WORKERS_SHOWN_MAX = 16;

const BAR_CELLS = 24;
const NAME_CELLS_MAX = 16;

/** The frame of one status; `earlier` is the status shown before, to tell what is new. */
export function runFrame(status: RunStatus__Output, width: number, earlier?: RunStatus__Output): Frame {
  const headline = headlineOf(status);
  return {
    lines: [headline.drawn, ...trafficLines(status), ...workerLines(status)].map((line) => cut(line, width)),
    line: headline.logged,
    isMilestone: earlier === undefined || isNews(status, earlier),
  };
}

/** A change that a log should have even when it comes soon after the last line. */
function isNews(status: RunStatus__Output, earlier: RunStatus__Output): boolean {
  const isSolving = status.blocksTotal > 0;
  if (isSolving) return earlier.blocksTotal === 0;
  return status.phase !== earlier.phase && status.phase !== '';
}

function headlineOf(status: RunStatus__Output): { drawn: string; logged: string } {
  const epoch = `epoch ${Math.min(status.epochsDone + 1, status.epochs)}/${status.epochs}`;
  if (status.blocksTotal === 0) {
    const text = status.phase === '' ? stateInWords(status) : status.phase;
    return { drawn: text, logged: text };
  }
  const share = status.blocksDone / status.blocksTotal;
  const phase = status.phase.padEnd(5);
  const pace = [
    `${String(Math.floor(share * 100)).padStart(3)} %`,
    status.rowsPerSecond > 0 ? `${count(status.rowsPerSecond)} rows/s` : '',
    status.secondsLeft > 0 ? `${duration(status.secondsLeft)} left` : '',
  ].filter((part) => part !== '');
  return {
    drawn: `${epoch}  ${phase} ${bar(share, 0)} ${pace.join('  ')}`,
    logged: `${epoch} ${phase} ${pace.join(', ')}`,
  };
}

function stateInWords(status: RunStatus__Output): string {
  if (status.state === 'RUN_STATE_QUEUED') return 'waiting in line';
  if (status.state === 'RUN_STATE_RUNNING') return 'starting';
  return status.state.replace('RUN_STATE_', '').toLowerCase();
}

/** What has travelled, and what did not come in time. */
function trafficLines({ rowBytes, leasesLate, leasesRepeated }: RunStatus__Output): string[] {
  const parts = [
    rowBytes > 0 ? `${bytes(rowBytes)} of rows moved` : '',
    leasesLate > 0 ? `${count(leasesLate)} leases late` : '',
    leasesRepeated > 0 ? `${count(leasesRepeated)} blocks lent twice` : '',
  ].filter((part) => part !== '');
  return parts.length === 0 ? [] : [`  ${parts.join(', ')}`];
}

/** Bars share one scale: full is an even share of the phase, or the most that any worker has. */
function workerLines(status: RunStatus__Output): string[] {
  const { workers } = status;
  if (workers.length === 0) return [];
  const evenShare = status.blocksTotal / workers.length;
  const scale = Math.max(evenShare, ...workers.map((worker) => worker.blocksDone + worker.blocksLeased), 1);
  const nameCells = Math.min(NAME_CELLS_MAX, Math.max(...workers.map((worker) => worker.name.length)));
  const lines = workers
    .slice(0, WORKERS_SHOWN_MAX)
    .map((worker) => `  ${workerLine(worker, scale, nameCells)}`);
  const hidden = workers.length - WORKERS_SHOWN_MAX;
  if (hidden > 0) lines.push(`  and ${hidden} more workers`);
  return lines;
}

function workerLine(worker: WorkerStatus__Output, scale: number, nameCells: number): string {
  const name = cut(worker.name, nameCells).padEnd(nameCells);
  const drawn = bar(worker.blocksDone / scale, worker.blocksLeased / scale);
  const rate = worker.flopsPerSecond > 0 ? `, ${(worker.flopsPerSecond / 1e9).toPrecision(2)} GFLOP/s` : '';
  const words = worker.isAlive
    ? `${worker.blocksDone} blocks, ${worker.blocksLeased} at work${rate}`
    : 'gone';
  return `${name} ${drawn} ${words}`;
}

/** Done in full blocks, what is being worked on in half tone. */
function bar(done: number, underWay: number): string {
  const full = Math.min(BAR_CELLS, Math.round(done * BAR_CELLS));
  const half = Math.min(BAR_CELLS - full, Math.ceil(underWay * BAR_CELLS));
  return '█'.repeat(full) + '▒'.repeat(half) + '░'.repeat(BAR_CELLS - full - half);
}
