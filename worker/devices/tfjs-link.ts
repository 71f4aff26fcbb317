// The near end of a tfjs device's thread: tasks out, answers back, and the end of both.

import { once } from 'node:events';
import { SHARE_ENV, Worker } from 'node:worker_threads';
import { DeviceError, messageOf } from '../../common/errors.js';
import { builtEntry } from '../../common/package-root.js';
import { sharedInt32 } from '../../common/shared-memory.js';
import type { DeviceInfo } from '../../models/device.js';
import type {
  TfjsAnswer,
  TfjsRequest,
  TfjsTask,
  TfjsThreadData,
  TfjsThreadMessage,
} from './tfjs-messages.js';
import { TfjsUnavailableError } from './tfjs-unavailable.js';
import { throwFailure } from './throw-failure.js';

/** A task without its abort flag, which the link adds. */
export type UnflaggedTask = TfjsTask extends infer T
  ? T extends TfjsTask
    ? Omit<T, 'abort'>
    : never
  : never;

type Done = Extract<TfjsAnswer, { kind: 'done' }>;

/** A thread that is asked to end frees its memory first; one that still computes after this is ended as it is. */
const CLOSE_MS_MAX = 5000;

export class TfjsLink {
  readonly info: DeviceInfo;
  readonly tensorBytesMax: number;
  /** Settles when the thread is gone or its provider cannot compute any more; never rejects. */
  readonly lost: Promise<string>;
  readonly #worker: Worker;
  /** Tasks that were sent and not yet answered. */
  readonly #waiting = new Map<number, { settle: (answer: TfjsAnswer) => void; abort?: Int32Array }>();
  #lastId = 0;
  /** Why no task is taken any more. */
  #end: string | undefined;
  #resolveLost: (message: string) => void = () => {};

  private constructor(worker: Worker, ready: Extract<TfjsThreadMessage, { kind: 'ready' }>) {
    this.#worker = worker;
    this.info = ready.info;
    this.tensorBytesMax = ready.tensorBytesMax;
    this.lost = new Promise((resolve) => {
      this.#resolveLost = resolve;
    });
    worker.on('message', (message: TfjsThreadMessage) => this.#receive(message));
    worker.on('error', (error) => this.#fail(`its thread failed: ${messageOf(error)}`));
    worker.on('exit', () => this.#fail('its thread has ended'));
    worker.unref();
  }

  /** Starts a thread and its provider. @throws {TfjsUnavailableError} */
  static async open(data: TfjsThreadData): Promise<TfjsLink> {
    // Libraries of a provider read their settings from the process's environment.
    const worker = new Worker(builtEntry('worker/devices/tfjs-thread.js'), {
      workerData: data,
      env: SHARE_ENV,
    });
    const [message] = (await once(worker, 'message')) as [TfjsThreadMessage];
    if (message.kind === 'ready') return new TfjsLink(worker, message);
    await worker.terminate();
    if (message.kind === 'unavailable') throw new TfjsUnavailableError(message.why);
    throw new Error(`internal error: a tfjs thread began with "${message.kind}"`);
  }

  /**
   * Runs a task. When the signal aborts, the call rejects with its reason at once; the thread notices after the step
   * that it is at.
   *
   * @throws {NumericError | ShapeError | DeviceError} as `ComputeDevice` says.
   */
  async run(task: UnflaggedTask, signal: AbortSignal | undefined): Promise<Done> {
    signal?.throwIfAborted();
    const abort = sharedInt32(1);
    let onAbort: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => {
        Atomics.store(abort, 0, 1);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
    });
    try {
      return unwrap(await Promise.race([this.#ask({ ...task, abort } as TfjsTask, abort), aborted]));
    } finally {
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Tensors alive in the thread, once the tasks before are through. */
  async memory(): Promise<NonNullable<Done['memory']>> {
    return unwrap(await this.#ask({ kind: 'memory' })).memory!;
  }

  /** Frees what the thread has of a table. */
  free(table: number): void {
    if (this.#end === undefined) this.#post({ free: table });
  }

  /** Ends the thread; tasks under way fail with `DeviceError`. */
  async close(): Promise<void> {
    const isOver = this.#end !== undefined;
    this.#fail('was closed while it computed');
    if (isOver) return;
    const exited = once(this.#worker, 'exit');
    this.#post({ close: true });
    const late = setTimeout(() => void this.#worker.terminate(), CLOSE_MS_MAX);
    this.#worker.ref();
    await exited;
    clearTimeout(late);
  }

  #ask(task: TfjsTask | { readonly kind: 'memory' }, abort?: Int32Array): Promise<TfjsAnswer> {
    if (this.#end !== undefined) throw ended(this.#end);
    const id = ++this.#lastId;
    // The process stays alive for a task, not for an idle thread.
    this.#worker.ref();
    return new Promise((settle) => {
      this.#waiting.set(id, { settle, abort });
      this.#post({ id, task } as TfjsRequest);
    });
  }

  #post(request: TfjsRequest): void {
    this.#worker.postMessage(request);
  }

  #receive(message: TfjsThreadMessage): void {
    if (message.kind === 'lost') this.#fail(message.message);
    if (message.kind !== 'answer') return;
    this.#waiting.get(message.id)?.settle(message.answer);
    this.#waiting.delete(message.id);
    if (this.#waiting.size === 0 && this.#end === undefined) this.#worker.unref();
  }

  #fail(why: string): void {
    if (this.#end !== undefined) return;
    this.#end = why;
    this.#resolveLost(why);
    const { message, code, fields } = ended(why);
    for (const { settle, abort } of this.#waiting.values()) {
      if (abort !== undefined) Atomics.store(abort, 0, 1);
      settle({ kind: 'failed', name: 'DeviceError', code, message, fields });
    }
    this.#waiting.clear();
  }
}

function ended(why: string): DeviceError {
  return new DeviceError('STOA_DEVICE', `the tfjs device can compute no more: ${why}; open it again`);
}

function unwrap(answer: TfjsAnswer): Done {
  if (answer.kind === 'done') return answer;
  if (answer.kind === 'aborted') throw new Error('the task was aborted');
  return throwFailure(answer);
}
