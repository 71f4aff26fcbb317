// A coordinator with a run that never ends, which watches its own event loop: node coordinator-process.js REQUEST, which
// is JSON. Prints JSON lines: its address, then what it saw since the last time for every line that it reads.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { startCoordinator } from '../../coordinator/coordinator.js';
import { parseRunConfig } from '../../coordinator/plan/run-config.js';

export interface WatchRequest {
  dataset: string;
  /** Scratch folder. */
  folder: string;
  settings: Record<string, string | number | boolean>;
}

/** Of the event loop, since the last time. */
export interface LoopSeen {
  delayMs: { median: number; p99: number; worst: number };
  /** Share of a core that the process used, all its threads together. */
  cpu: number;
}

/** The finest that Node measures: what is recorded is the time between two looks, this included. */
const RESOLUTION_MS = 1;

const request = JSON.parse(process.argv[2]!) as WatchRequest;
const coordinator = await startCoordinator({
  listen: { host: '127.0.0.1', port: 0 },
  stateDir: `${request.folder}/state`,
  tls: {},
  log: pino({ level: 'fatal' }),
});
const runId = await coordinator.submitLocal({
  dataset: request.dataset,
  config: parseRunConfig(request.settings),
  runDir: `${request.folder}/run`,
});
// Planning is over when it waits for whom to lend to.
for await (const { phase } of coordinator.watch(runId)) if (phase === 'waiting for workers') break;
console.log(JSON.stringify(coordinator.address));
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();
let cpu = process.cpuUsage();
let sinceMs = performance.now();
for await (const _ of createInterface({ input: process.stdin })) {
  const { user, system } = process.cpuUsage(cpu);
  const ms = (value: number) => Number((value / 1e6 - RESOLUTION_MS).toFixed(2));
  const seen: LoopSeen = {
    delayMs: { median: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), worst: ms(delay.max) },
    cpu: Number(((user + system) / 1000 / (performance.now() - sinceMs)).toFixed(3)),
  };
  console.log(JSON.stringify(seen));
  delay.reset();
  cpu = process.cpuUsage();
  sinceMs = performance.now();
}
process.exit();
