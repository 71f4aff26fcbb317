import { Piscina } from 'piscina';
import { DeviceError, messageOf, StoaError } from '../../common/errors.js';
import { builtEntry } from '../../common/package-root.js';
import { sharedInt32 } from '../../common/shared-memory.js';
import type { PortableAnswer, PortableTask } from './portable-task.js';
import { throwFailure } from './throw-failure.js';

/** A task without its abort flag, which the pool adds. */
export type UnflaggedTask = PortableTask extends infer T
  ? T extends PortableTask
    ? Omit<T, 'abort'>
    : never
  : never;

type Done = Extract<PortableAnswer, { kind: 'done' }>;

/** The threads of a portable device. Tasks beyond the number of threads wait their turn. */
export class PortablePool {
  readonly #pool: Piscina<PortableTask, PortableAnswer>;
  /** Abort flags of tasks handed over and not yet answered. */
  readonly #flags = new Set<Int32Array>();
  #isClosed = false;

  constructor(threads: number) {
    this.#pool = new Piscina({
      filename: builtEntry('worker/devices/portable-thread.js').href,
      minThreads: threads,
      maxThreads: threads,
      recordTiming: false,
    });
  }

  /**
   * Runs a task. When the signal aborts, the call rejects with its reason at once; the thread notices at the next row.
   *
   * @throws {NumericError | ShapeError | DeviceError} as `ComputeDevice` says.
   */
  async run(task: UnflaggedTask, signal: AbortSignal | undefined): Promise<Done> {
    signal?.throwIfAborted();
    const abort = sharedInt32(1);
    this.#flags.add(abort);
    let onAbort: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => {
        Atomics.store(abort, 0, 1);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
    });
    try {
      return unwrap(await Promise.race([this.#pool.run({ ...task, abort } as PortableTask), aborted]));
    } catch (error) {
      throw error === signal?.reason ? error : this.#explain(error);
    } finally {
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
      this.#flags.delete(abort);
    }
  }

  /** Ends the threads; tasks under way fail with `DeviceError`. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const flag of this.#flags) Atomics.store(flag, 0, 1);
    await this.#pool.destroy();
  }

  #explain(error: unknown): unknown {
    if (error instanceof StoaError) return error;
    const what = this.#isClosed ? 'was closed while it computed' : `failed: ${messageOf(error)}`;
    return new DeviceError('STOA_DEVICE', `the portable device ${what}; open it again`, { cause: error });
  }
}

function unwrap(answer: PortableAnswer): Done {
  if (answer.kind === 'done') return answer;
  if (answer.kind === 'aborted') throw new Error('the task was aborted');
  return throwFailure(answer);
}
