import { Piscina } from 'piscina';
import { DeviceError, messageOf, NumericError, ShapeError, StoaError } from '../../common/errors.js';
import { builtEntry } from '../../common/package-root.js';
import type { Csr } from '../../models/csr.js';
import type { BlockDescent, DescendTask, DrawTask } from '../../models/sgd/block-descent.js';
import type { SplitTask, StepAnswer, StepTask } from './step-task.js';

type Done = Exclude<StepAnswer, { kind: 'failed' }>;

/** The threads that do the steps of push/pull runs in TypeScript. They are started by the first task. */
export class StepPool implements BlockDescent {
  readonly #threads: number;
  #pool: Piscina<StepTask, StepAnswer> | undefined;

  constructor(threads: number) {
    this.#threads = threads;
  }

  /** @returns the interactions that a block trains with. */
  async split(task: SplitTask): Promise<Csr> {
    return (await this.#run<'split'>({ kind: 'split', ...task })).interactions;
  }

  draw(task: DrawTask, signal?: AbortSignal) {
    return this.#run<'drawn'>({ kind: 'draw', ...task }, signal);
  }

  descend(task: DescendTask, signal?: AbortSignal) {
    return this.#run<'descended'>({ kind: 'descend', ...task }, signal);
  }

  async close(): Promise<void> {
    await this.#pool?.destroy();
    this.#pool = undefined;
  }

  async #run<K extends Done['kind']>(
    task: StepTask,
    signal?: AbortSignal,
  ): Promise<Extract<Done, { kind: K }>> {
    signal?.throwIfAborted();
    this.#pool ??= new Piscina<StepTask, StepAnswer>({
      filename: builtEntry('worker/steps/step-task.js').href,
      minThreads: this.#threads,
      maxThreads: this.#threads,
      recordTiming: false,
    });
    try {
      const answer = unwrap(await this.#pool.run(task));
      signal?.throwIfAborted();
      return answer as Extract<Done, { kind: K }>;
    } catch (error) {
      if (error instanceof StoaError || signal?.aborted) throw error;
      throw new DeviceError('STOA_DEVICE', `a thread of the worker failed: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}

function unwrap(answer: StepAnswer): Done {
  if (answer.kind !== 'failed') return answer;
  const { code, message, fields } = answer;
  if (answer.name === 'NumericError') throw new NumericError(code, message, { fields });
  if (answer.name === 'ShapeError') throw new ShapeError(code, message, { fields });
  throw new DeviceError(code, message, { fields });
}
