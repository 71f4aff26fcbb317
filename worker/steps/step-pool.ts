import { Piscina } from 'piscina';
import { DeviceError, messageOf, NumericError, ShapeError, StoaError } from '../../common/errors.js';
import { builtEntry } from '../../common/package-root.js';
import type { DescendTask, DrawTask, StepAnswer, StepTask } from './step-task.js';

type Drawn = Extract<StepAnswer, { kind: 'drawn' }>;
type Descended = Extract<StepAnswer, { kind: 'descended' }>;

/** The threads that do the steps of push/pull runs. They are started by the first task. */
export class StepPool {
  readonly #threads: number;
  #pool: Piscina<StepTask, StepAnswer> | undefined;

  constructor(threads: number) {
    this.#threads = threads;
  }

  async draw(task: DrawTask): Promise<Drawn> {
    return (await this.#run(task)) as Drawn;
  }

  /** @throws {NumericError | ShapeError} as `sgdBlock`; {DeviceError} the threads are gone. */
  async descend(task: DescendTask): Promise<Descended> {
    return (await this.#run(task)) as Descended;
  }

  async close(): Promise<void> {
    await this.#pool?.destroy();
    this.#pool = undefined;
  }

  async #run(task: StepTask): Promise<Drawn | Descended> {
    this.#pool ??= new Piscina<StepTask, StepAnswer>({
      filename: builtEntry('worker/steps/step-task.js').href,
      minThreads: this.#threads,
      maxThreads: this.#threads,
      recordTiming: false,
    });
    try {
      return unwrap(await this.#pool.run(task));
    } catch (error) {
      if (error instanceof StoaError) throw error;
      throw new DeviceError('STOA_DEVICE', `a thread of the worker failed: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}

function unwrap(answer: StepAnswer): Drawn | Descended {
  if (answer.kind !== 'failed') return answer;
  const { code, message, fields } = answer;
  if (answer.name === 'NumericError') throw new NumericError(code, message, { fields });
  if (answer.name === 'ShapeError') throw new ShapeError(code, message, { fields });
  throw new DeviceError(code, message, { fields });
}
