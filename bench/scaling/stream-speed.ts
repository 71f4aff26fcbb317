// The speed of a gRPC stream of factors between two processes: the coordinator's service and the worker's client.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { builtEntry } from '../../common/package-root.js';
import { decodeRows } from '../../common/row-chunks.js';
import { packedGramLength } from '../../models/gram.js';
import { CoordinatorLink } from '../../worker/coordinator-link.js';
import { pushBlock } from '../../worker/push-block.js';
import { median } from '../support/median.js';

/** The users' table that speed is stated for. */
const TABLE = { rows: 138_000, factors: 64 };

export interface StreamSpeed {
  /** 10^6 bytes of rows a second, checked and copied into place: from the coordinator, and to it. */
  pullMbps: number;
  pushMbps: number;
}

export async function streamSpeed(repeats: number): Promise<StreamSpeed> {
  const entry = fileURLToPath(builtEntry('bench/scaling/stream-server.js'));
  const server = spawn(process.execPath, [entry, JSON.stringify(TABLE)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [port] = (await once(server.stdout, 'data')) as [Buffer];
  const link = new CoordinatorLink({ host: '127.0.0.1', port: Number(port) }, {});
  const { rows, factors } = TABLE;
  const table = new Float32Array(rows * factors);
  try {
    const pulls: number[] = [];
    const pushes: number[] = [];
    for (let n = 0; n <= repeats; n++) {
      pulls.push(await timed(() => pull(link, table, factors)));
      pushes.push(await timed(() => push(link, table, factors)));
    }
    // The first opens the connection.
    const mbps = (times: number[]) => table.byteLength / median(times.slice(1)) / 1000;
    return { pullMbps: mbps(pulls), pushMbps: mbps(pushes) };
  } finally {
    link.close();
    server.stdin.end();
  }
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

async function pull(link: CoordinatorLink, table: Float32Array, factors: number): Promise<void> {
  const call = link.parameters.PullRows({ runId: 'run', side: 'SIDE_USERS', clock: 0 });
  for await (const { chunk } of link.stream(call, new AbortController().signal)) {
    decodeRows(chunk!, factors, table.subarray(chunk!.rowStart * factors));
  }
}

async function push(link: CoordinatorLink, rows: Float32Array, factors: number): Promise<void> {
  const result = { rows, gram: new Float64Array(packedGramLength(factors)), ms: 1 };
  const ids = { runId: 'run', sessionId: 'session', leaseId: 1, side: 'users' as const };
  const block = {
    ...ids,
    block: 0,
    clock: 1,
    rowStart: 0,
    factors,
    encoding: 'ROWS_ENCODING_F32' as const,
    result,
  };
  const disposition = await pushBlock(link, link, block, new AbortController().signal);
  if (disposition !== 'DISPOSITION_ACCEPTED') throw new Error(`the stream was answered ${disposition}`);
}
