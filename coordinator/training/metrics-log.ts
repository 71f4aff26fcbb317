// metrics.jsonl: one line for each complete phase, read back when a run is resumed.

import { open, readFile } from 'node:fs/promises';
import { explainDisk, writeFileAtomic } from '../../common/atomic-files.js';
import type { Side } from '../../models/csr.js';
import type { DeviceFacts } from '../../models/device-facts.js';
import type { PhaseRecord } from '../report/phase-record.js';

/** A line as it is written. */
interface MetricsLine {
  phase: number;
  /** From 1. */
  epoch: number;
  side: Side;
  /** Milliseconds since the run started, without pauses. */
  start_ms: number;
  end_ms: number;
  rows: number;
  rows_per_second: number;
  /** Of the objective, after the phase. */
  loss?: number;
  /** Workers that delivered blocks. */
  workers: string[];
  /** Each different device that solved blocks. */
  devices?: DeviceFacts[];
  /** For each block in order of arrival: its index, the index of its worker, start and end of solving. */
  blocks: [block: number, worker: number, startMs: number, endMs: number][];
  /** As `PhaseRecord` says. */
  validation?: number;
  staleness?: number[];
  reads?: [block: number, clock: number, seen: number][];
}

/** The phases of a run, in memory and on disk. */
export class MetricsLog {
  readonly #file: string;
  readonly #records: PhaseRecord[];
  readonly #phasesPerEpoch: number;
  /** Lines that are not on disk yet, and where they go. */
  #pending = '';
  #bytes: number;
  #lastWrite: Promise<void> = Promise.resolve();

  private constructor(file: string, records: PhaseRecord[], bytes: number, phasesPerEpoch: number) {
    this.#file = file;
    this.#records = records;
    this.#bytes = bytes;
    this.#phasesPerEpoch = phasesPerEpoch;
  }

  /** Opens the log with its first `phases` phases; later lines, of phases that will be done again, are dropped. */
  static async open(file: string, phases: number, phasesPerEpoch = 2): Promise<MetricsLog> {
    const text = phases === 0 ? '' : await readFile(file, 'utf8').catch(() => '');
    const lines = text.split('\n').map(parseLine);
    const kept = lines.filter((line) => line !== undefined && line.phase < phases) as MetricsLine[];
    const again = kept.map((line) => `${JSON.stringify(line)}\n`).join('');
    await writeFileAtomic(file, again);
    return new MetricsLog(file, kept.map(toRecord), Buffer.byteLength(again), phasesPerEpoch);
  }

  get records(): readonly PhaseRecord[] {
    return this.#records;
  }

  /** Adds a phase; it is on disk when `flush` resolves. */
  append(phase: number, record: PhaseRecord): void {
    this.#records.push(record);
    this.#pending += `${JSON.stringify(toLine(phase, record))}\n`;
    // Whoever flushes hears of a failure; nobody may be flushing yet.
    this.flush().catch(() => {});
  }

  /** Writes what is not on disk yet; after a failure it may be tried again. */
  flush(): Promise<void> {
    this.#lastWrite = this.#lastWrite.catch(() => {}).then(() => this.#writePending());
    return this.#lastWrite;
  }

  async #writePending(): Promise<void> {
    const text = this.#pending;
    if (text === '') return;
    await writeDurably(this.#file, text, this.#bytes);
    this.#bytes += Buffer.byteLength(text);
    this.#pending = this.#pending.slice(text.length);
  }

  /** Seconds of each complete epoch. */
  epochSeconds(): number[] {
    const seconds: number[] = [];
    for (const { epoch, startMs, endMs } of this.#records) {
      seconds[epoch - 1] = (seconds[epoch - 1] ?? 0) + (endMs - startMs) / 1000;
    }
    const complete = Math.floor(this.#records.length / this.#phasesPerEpoch);
    return seconds.slice(0, complete);
  }

  /** Loss after each epoch; empty where it was not computed. */
  losses(): number[] {
    const ends = this.#records.filter((_, phase) => (phase + 1) % this.#phasesPerEpoch === 0);
    const last = ends.filter(({ loss }) => loss !== undefined);
    return last.map(({ loss }) => loss!);
  }
}

/** Writes at a place: what an earlier try left half done there is overwritten. */
async function writeDurably(file: string, text: string, position: number): Promise<void> {
  try {
    const handle = await open(file, 'r+');
    try {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; ) {
        at += (await handle.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
      }
      await handle.datasync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw explainDisk(error, file);
  }
}

/** A last line that a crash cut off is no line. */
function parseLine(text: string): MetricsLine | undefined {
  try {
    return JSON.parse(text) as MetricsLine;
  } catch {
    return undefined;
  }
}

function toLine(phase: number, record: PhaseRecord): MetricsLine {
  const { epoch, side, startMs, endMs, rows, loss, devices, validation, staleness, reads } = record;
  const workers = [...new Set(record.blocks.map(({ worker }) => worker))];
  const ms = (value: number) => Math.round(value * 1000) / 1000;
  return {
    phase,
    epoch,
    side,
    start_ms: startMs,
    end_ms: endMs,
    rows,
    rows_per_second: endMs > startMs ? Math.round(rows / ((endMs - startMs) / 1000)) : 0,
    loss,
    workers,
    devices,
    blocks: record.blocks.map((block) => [
      block.block,
      workers.indexOf(block.worker),
      ms(block.startMs),
      ms(block.endMs),
    ]),
    validation,
    staleness,
    reads,
  };
}

function toRecord(line: MetricsLine): PhaseRecord {
  const blocks = line.blocks.map(([block, worker, startMs, endMs]) => ({
    block,
    worker: line.workers[worker]!,
    startMs,
    endMs,
  }));
  const { epoch, side, rows, loss, devices, validation, staleness, reads } = line;
  const times = { startMs: line.start_ms, endMs: line.end_ms };
  return { epoch, side, ...times, rows, loss, blocks, devices, validation, staleness, reads };
}
