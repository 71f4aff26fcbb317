// Entry of the thread of a tfjs device. All providers but WebGPU compute inside the call, for up to a tenth of a second
// a step; in a thread of its own that keeps no heartbeat waiting.

import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../common/errors.js';
import { loadTfjs } from './tfjs-backend.js';
import { TfjsEngine } from './tfjs-engine.js';
import type { TfjsAnswer, TfjsRequest, TfjsThreadData, TfjsThreadMessage } from './tfjs-messages.js';
import { explainTfjsFailure } from './tfjs-unavailable.js';

const port = parentPort!;
const { provider, threads } = workerData as TfjsThreadData;
const say = (message: TfjsThreadMessage): void => port.postMessage(message);

try {
  const backend = await loadTfjs(provider, threads);
  const engine = new TfjsEngine(backend);
  void backend.lost.then((message) => say({ kind: 'lost', message }));
  serve(engine);
  say({ kind: 'ready', info: backend.info, tensorBytesMax: backend.tensorBytesMax });
} catch (error) {
  say({ kind: 'unavailable', why: explainTfjsFailure(provider, error) });
}

function serve(engine: TfjsEngine): void {
  let last: Promise<unknown> = Promise.resolve();
  port.on('message', (request: TfjsRequest) => {
    // In the order of arrival: a table is freed only when the tasks before it are through.
    last = last.then(() => handle(engine, request));
  });
}

async function handle(engine: TfjsEngine, request: TfjsRequest): Promise<void> {
  if ('free' in request) {
    engine.free(request.free);
    return;
  }
  if ('close' in request) {
    engine.dispose();
    port.close();
    return;
  }
  const { id, task } = request;
  try {
    const answer: TfjsAnswer =
      task.kind === 'memory' ? { kind: 'done', ms: 0, memory: engine.memory() } : await engine.run(task);
    say({ kind: 'answer', id, answer });
  } catch (error) {
    const message = `the provider failed: ${messageOf(error)}`;
    say({
      kind: 'answer',
      id,
      answer: { kind: 'failed', name: 'DeviceError', code: 'STOA_DEVICE', message, fields: {} },
    });
  }
}
