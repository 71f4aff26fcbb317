// A coordinator that trains one run: node coordinator-process.js REQUEST, which is JSON. Prints JSON lines: its
// address, each epoch as it ends, the result.

import { createServer } from 'node:net';
import { pino } from 'pino';
import { sha256 } from '../../common/checksums.js';
import { bytesOf } from '../../common/row-chunks.js';
import { startCoordinator } from '../../coordinator/coordinator.js';
import { parseRunConfig } from '../../coordinator/plan/run-config.js';
import { openModel } from '../../coordinator/registry/model-folder.js';
import type { TrainResult } from '../../coordinator/training/train-result.js';

export interface TrainRequest {
  dataset: string;
  /** Scratch folder. */
  folder: string;
  settings: Record<string, string | number | boolean>;
  workers: number;
}

export type TrainLine =
  | { event: 'listening'; port: number }
  | { event: 'epochs'; done: number }
  /** `items`: SHA-256 of the items' factors; `rowBytes`: "in message", "in exchange", "out message", "out exchange". */
  | { event: 'result'; result: TrainResult; items: string; rowBytes: Record<string, number> };

const request = JSON.parse(process.argv[2]!) as TrainRequest;
const metrics = { host: '127.0.0.1', port: await freePort() };
const coordinator = await startCoordinator({
  listen: { host: '127.0.0.1', port: 0 },
  metrics,
  stateDir: `${request.folder}/state`,
  tls: {},
  log: pino({ level: 'fatal' }),
});
say({ event: 'listening', port: coordinator.address.port });
const runId = await coordinator.submitLocal({
  dataset: request.dataset,
  config: parseRunConfig(request.settings),
  runDir: `${request.folder}/run`,
  expectedWorkers: request.workers,
});
let done = 0;
for await (const { epochsDone } of coordinator.watch(runId)) {
  if (epochsDone > done) say({ event: 'epochs', done: epochsDone });
  done = epochsDone;
}
const result = await coordinator.result(runId);
const items = sha256(bytesOf((await openModel(`${request.folder}/run`)).itemFactors));
say({ event: 'result', result, items, rowBytes: await rowBytes() });
await coordinator.shutdown();

function say(line: TrainLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function rowBytes(): Promise<Record<string, number>> {
  const text = await (await fetch(`http://${metrics.host}:${metrics.port}/metrics`)).text();
  const lines = text.matchAll(/^stoa_row_bytes_total\{direction="(\w+)",way="(\w+)"\} (\S+)$/gm);
  return Object.fromEntries(
    [...lines].map(([, direction, way, bytes]) => [`${direction} ${way}`, Number(bytes)]),
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
