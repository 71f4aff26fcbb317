// What a thousand workers cost one coordinator: heartbeats, requests for leases that wait, leases that come back, each
// worker over a connection of its own. They solve nothing, so that one process can be all of them.
//
//   npm run bench:crowd -- [--workers 1000] [--seconds 20] [--hold 5] [--within 20] [--json]
//
// --hold: seconds that a worker keeps a block, on average. Exits 1 where the event loop of the coordinator was late by
// more than --within milliseconds (99th percentile), while all joined or afterwards, or where a call failed. Coordinator
// and crowd need a core each.

import { spawn } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { HostPort } from '../common/addresses.js';
import { builtEntry } from '../common/package-root.js';
import { createRandom } from '../common/random.js';
import { importInteractions } from '../datasets/import/import-interactions.js';
import { synthesize } from '../datasets/synthesize/synthesize.js';
import type { LoopSeen, WatchRequest } from './crowd/coordinator-process.js';
import { beCrowdWorker, type CrowdCounts } from './crowd/crowd-worker.js';
import { benchFolder } from './support/bench-folder.js';
import { machineLine } from './support/machine-line.js';
import { markdownTable } from './support/markdown-table.js';

/** So much work a row that the users make hundreds of blocks, and few items, whose Gram a run begins with. */
const DATA = { users: 60_000, items: 600, interactions: 1_500_000, seed: 1 };
const SETTINGS = { 'ials.factors': 1024, 'ials.solver': 'cholesky', 'train.epochs': 1000 };
/** A fleet is started over some seconds, not in one instant. */
const JOINS_PER_SECOND = 200;
/** What joining leaves behind is over. */
const SETTLE_MS = 3000;

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '20' },
    hold: { type: 'string', default: '5' },
    within: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
  },
});
const workers = Number(values.workers);
const dataset = await crowdData();
const folder = await mkdtemp(path.join(os.tmpdir(), 'stoa-crowd-'));
const argument = JSON.stringify({ dataset, folder, settings: SETTINGS } satisfies WatchRequest);
const entry = fileURLToPath(builtEntry('bench/crowd/coordinator-process.js'));
const child = spawn(process.execPath, [entry, argument], { stdio: ['pipe', 'pipe', 'inherit'] });
try {
  await measure();
} finally {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  await rm(folder, { recursive: true, force: true });
}

async function measure(): Promise<void> {
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async <T>(): Promise<T> => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the coordinator ended');
    return JSON.parse(value) as T;
  };
  const address = await line<HostPort>();
  const seen = async (): Promise<LoopSeen> => {
    child.stdin.write('\n');
    return line<LoopSeen>();
  };
  const counts: CrowdCounts = {
    joined: 0,
    heartbeats: 0,
    leases: 0,
    failures: 0,
    heartbeatMs: [],
    lastFailure: '',
  };
  const end = new AbortController();
  // Every worker has calls that end with it.
  setMaxListeners(0, end.signal);
  await seen();
  const crowd: Promise<void>[] = [];
  for (let n = 0; n < workers; n++) {
    const random = createRandom(1, n);
    const own = { name: `w${n}`, address, counts, random, holdMs: 1000 * Number(values.hold) };
    crowd.push(beCrowdWorker({ ...own, signal: end.signal }));
    await sleep(1000 / JOINS_PER_SECOND);
  }
  while (counts.joined < workers && counts.failures === 0) await sleep(50);
  const joining = { while: 'joining', ...(await seen()), ...rates(counts, Number.NaN) };
  await sleep(SETTLE_MS);
  await seen();
  Object.assign(counts, { heartbeats: 0, leases: 0, heartbeatMs: [] });
  const startMs = performance.now();
  await sleep(1000 * Number(values.seconds));
  const working = { while: 'working', ...(await seen()), ...rates(counts, performance.now() - startMs) };
  end.abort();
  await Promise.all(crowd);
  print([joining, working], counts);
}

function rates({ heartbeats, leases, heartbeatMs }: CrowdCounts, ms: number) {
  const sorted = [...heartbeatMs].sort((a, b) => a - b);
  const at = (share: number) => Number((sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(1));
  return {
    heartbeatsPerSecond: Math.round((1000 * heartbeats) / ms) || 0,
    leasesPerSecond: Math.round((1000 * leases) / ms) || 0,
    heartbeatMs: { median: at(0.5), p99: at(0.99) },
  };
}

type Row = LoopSeen & ReturnType<typeof rates> & { while: string };

function print(rows: readonly Row[], { failures, lastFailure }: CrowdCounts): void {
  if (values.json) console.log(JSON.stringify({ machine: machineLine(), workers, failures, rows }));
  else {
    console.log(`${machineLine()}\n${workers} workers, a block held for ${values.hold} s\n`);
    const head = [
      'while',
      'heartbeats/s',
      'leases/s',
      'heartbeat ms',
      'p99',
      'loop delay ms',
      'p99',
      'worst',
      'CPU',
    ];
    const cells = rows.map((row) => [
      row.while,
      row.heartbeatsPerSecond || '',
      row.leasesPerSecond || '',
      row.heartbeatMs.median,
      row.heartbeatMs.p99,
      row.delayMs.median,
      row.delayMs.p99,
      row.delayMs.worst,
      row.cpu,
    ]);
    console.log(markdownTable(head, cells));
  }
  const late = rows.filter(({ delayMs }) => !(delayMs.p99 <= Number(values.within)));
  for (const row of late)
    console.error(
      `wrong: while ${row.while}, the event loop was late by ${row.delayMs.p99} ms, more than ${values.within}`,
    );
  if (failures > 0) console.error(`wrong: ${failures} calls failed, the last by ${lastFailure}`);
  if (late.length > 0 || failures > 0) process.exitCode = 1;
}

/** Made once. */
async function crowdData(): Promise<string> {
  const folder = path.join(benchFolder, 'data', 'crowd');
  const out = path.join(folder, 'whole');
  if (existsSync(out)) return out;
  const made = path.join(folder, 'interactions.parquet');
  await synthesize({ ...DATA, out: made });
  await importInteractions({ files: [made], out, synthetic: true });
  rmSync(made);
  return out;
}
