// How long an import takes, next to what DuckDB alone takes to read the same columns of the same file and count the
// distinct users and items. Both sides run in processes of their own, one after the other, in turns.
//
//   npm run bench:import -- [--rows 20000000] [--format csv|csv.gz|parquet] [--file FILE] [--repeats 3] [--json]
//
// Without --file, synthetic interactions are made first (138 000 users, 27 000 items; the time is not counted).

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const USERS = 138_000;
const ITEMS = 27_000;

interface Measured {
  /** Of the work, without the start of the process. */
  seconds: number;
  rssPeakBytes: number;
}

type SideName = 'duckdb' | 'stoa';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '20000000' },
    format: { type: 'string', default: 'csv' },
    file: { type: 'string' },
    repeats: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
    side: { type: 'string' },
    out: { type: 'string' },
  },
});

if (values.side === 'duckdb') report(await measureDuckdb(values.file!));
else if (values.side === 'stoa') report(await measureStoa(values.file!, values.out!));
else await compare();

async function compare(): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'stoa-bench-'));
  try {
    const file = values.file ?? (await makeFile(folder));
    const runs: Record<SideName, Measured[]> = { duckdb: [], stoa: [] };
    for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
      for (const side of ['duckdb', 'stoa'] as const) {
        runs[side].push(measureInChild(side, file, path.join(folder, 'dataset')));
        rmSync(path.join(folder, 'dataset'), { recursive: true, force: true });
      }
    }
    print(file, runs);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function makeFile(folder: string): Promise<string> {
  const interactions = Number(values.rows);
  const out = path.join(folder, `interactions.${values.format}`);
  console.error(`making ${interactions.toLocaleString('en-US')} synthetic interactions…`);
  const { synthesize } = await import('../datasets/synthesize/synthesize.js');
  const users = Math.min(USERS, interactions);
  await synthesize({ users, items: Math.min(ITEMS, interactions), interactions, seed: 1, out });
  return out;
}

function measureInChild(side: SideName, file: string, out: string): Measured {
  const args = [fileURLToPath(import.meta.url), '--side', side, '--file', file, '--out', out];
  const child = spawnSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.status !== 0) throw new Error(`the ${side} side failed`);
  return JSON.parse(child.stdout) as Measured;
}

/** The sum and the maximum make DuckDB read the columns that the import reads, too. */
async function measureDuckdb(file: string): Promise<Measured> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  return measure(async () => {
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    await connection.runAndReadAll(
      `SELECT count(DISTINCT user_id), count(DISTINCT item_id), sum(value), max("timestamp") FROM '${file.replaceAll("'", "''")}'`,
    );
  });
}

async function measureStoa(file: string, out: string): Promise<Measured> {
  const { importInteractions } = await import('../datasets/import/import-interactions.js');
  return measure(async () => {
    await importInteractions({ files: [file], out });
  });
}

async function measure(work: () => Promise<void>): Promise<Measured> {
  const startMs = performance.now();
  await work();
  const seconds = (performance.now() - startMs) / 1000;
  return { seconds, rssPeakBytes: process.resourceUsage().maxRSS * 1024 };
}

function report(measured: Measured): void {
  process.stdout.write(`${JSON.stringify(measured)}\n`);
}

function print(file: string, runs: Record<SideName, Measured[]>): void {
  const summary = (side: SideName) => ({
    seconds: runs[side].map((run) => run.seconds),
    median_seconds: median(runs[side].map((run) => run.seconds)),
    peak_rss_bytes: Math.max(...runs[side].map((run) => run.rssPeakBytes)),
  });
  const duckdb = summary('duckdb');
  const stoa = summary('stoa');
  const result = {
    file_bytes: statSync(file).size,
    rows: values.file === undefined ? Number(values.rows) : undefined,
    cores: os.availableParallelism(),
    duckdb,
    stoa,
    ratio: stoa.median_seconds / duckdb.median_seconds,
  };
  if (values.json) {
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return;
  }
  const row = (name: string, side: typeof stoa) =>
    `${name.padEnd(8)}${side.median_seconds.toFixed(2).padStart(8)} s   ${(side.peak_rss_bytes / 1e6).toFixed(0).padStart(6)} MB   (${side.seconds.map((s) => s.toFixed(2)).join(', ')})`;
  console.log(`${path.basename(file)}, ${(result.file_bytes / 1e6).toFixed(0)} MB, ${result.cores} cores`);
  console.log(`          median  peak memory`);
  console.log(row('duckdb', duckdb));
  console.log(row('stoa', stoa));
  console.log(`ratio   ${result.ratio.toFixed(2).padStart(8)}`);
}

function median(numbers: number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}
