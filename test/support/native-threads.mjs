// The native device in worker threads, in a process of its own: `node native-threads.mjs NATIVE_JS`. Threads are
// terminated in the middle of a block, two compute at once, the loop is watched, and at last the process exits in the
// middle of a block. Prints what it saw; a crash would end it by a signal instead.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const FACTORS = 96;
const COLS = 4000;

const url = isMainThread ? process.argv[2] : workerData.url;
const { nativeDevice } = await import(url);

/** A block of rows that all touch everything: `rows` × 4000 entries. */
async function startBlock(device, rows) {
  const fixed = await device.createTable(COLS, FACTORS);
  await device.write(
    fixed,
    0,
    Float32Array.from({ length: COLS * FACTORS }, (_, i) => Math.sin(i) / 10),
  );
  const gram = new Float64Array(FACTORS * FACTORS);
  for (let k = 0; k < FACTORS; k++) gram[k * FACTORS + k] = 1;
  const idx = Int32Array.from({ length: rows * COLS }, (_, e) => e % COLS);
  const ptr = Int32Array.from({ length: rows + 1 }, (_, row) => row * COLS);
  const objective = {
    objective: 'ials',
    weights: 'binary',
    alpha0: 0.1,
    alpha: 1,
    regularization: 0.1,
    nu: 1,
  };
  const solver = { name: 'cholesky', cgSteps: 1, block: 1 };
  return device.solveBlock({
    block: { rows, cols: COLS, ptr, idx },
    fixed,
    gram,
    objective,
    solver,
    wantLoss: false,
  });
}

function inThread(task) {
  return new Worker(new URL(import.meta.url), { workerData: { url, task } });
}

const answerOf = (worker) => new Promise((resolve) => worker.once('message', resolve));

if (!isMainThread) {
  const device = await nativeDevice.open({ threads: 2 });
  if (workerData.task === 'long') {
    // Nobody waits for it: the thread is terminated.
    startBlock(device, 2000);
    await sleep(50);
    parentPort.postMessage('busy');
    await sleep(60_000);
  } else {
    const { rows } = await startBlock(device, 8);
    await device.dispose();
    parentPort.postMessage(rows);
  }
} else {
  const seen = {};
  for (let i = 0; i < 3; i++) {
    const worker = inThread('long');
    await answerOf(worker);
    const start = performance.now();
    await worker.terminate();
    seen.terminateMs = Math.min(seen.terminateMs ?? Number.POSITIVE_INFINITY, performance.now() - start);
  }

  const device = await nativeDevice.open({ threads: 2 });
  const [one, other, { rows }] = await Promise.all([
    answerOf(inThread('short')),
    answerOf(inThread('short')),
    startBlock(device, 8),
  ]);
  seen.isEqual = [one, other].every((found) => found.every((value, i) => value === rows[i]));

  seen.loopDelayMs = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 3; attempt++) {
    const delay = monitorEventLoopDelay({ resolution: 2 });
    const started = startBlock(device, 150);
    await sleep(50);
    delay.enable();
    await started;
    delay.disable();
    seen.loopDelayMs = Math.min(seen.loopDelayMs, delay.percentile(99) / 1e6);
  }

  startBlock(device, 2000);
  await sleep(100);
  console.log(JSON.stringify(seen));
  process.exit(0);
}
