import { Piscina } from 'piscina';
import { builtEntry } from '../../common/package-root.js';

type Tasks = typeof import('./evaluation-thread.js');
type TaskName = keyof Tasks;
type TaskOf<Name extends TaskName> = Parameters<Tasks[Name]>[0];
type ResultOf<Name extends TaskName> = ReturnType<Tasks[Name]>;

/** Tasks in flight for each thread: one runs, one waits, so that no thread idles while a result is taken. */
const IN_FLIGHT_PER_THREAD = 2;

/** The threads of one evaluation. */
export class EvaluationPool {
  readonly #pool: Piscina;
  readonly #threads: number;
  readonly #signal: AbortSignal | undefined;

  constructor(threads: number, signal?: AbortSignal) {
    this.#threads = threads;
    this.#signal = signal;
    this.#pool = new Piscina({
      filename: builtEntry('coordinator/evaluation/evaluation-thread.js').href,
      minThreads: threads,
      maxThreads: threads,
    });
  }

  /** Runs one task. Rejects with the signal's reason when that is aborted; the thread is then ended. */
  async run<Name extends TaskName>(name: Name, task: TaskOf<Name>): Promise<ResultOf<Name>> {
    this.#signal?.throwIfAborted();
    try {
      return await this.#pool.run(task, { name, signal: this.#signal ?? null });
    } catch (error) {
      this.#signal?.throwIfAborted();
      throw error;
    }
  }

  /**
   * Runs tasks 0 … count − 1, a few at a time, and waits for all.
   *
   * @param taskAt makes a task when its turn comes.
   * @param onResult called in the order in which tasks end.
   */
  async runAll<Name extends TaskName>(
    name: Name,
    count: number,
    taskAt: (index: number) => TaskOf<Name>,
    onResult?: (result: ResultOf<Name>) => void,
  ): Promise<void> {
    let next = 0;
    const lane = async () => {
      while (next < count) {
        const result = await this.run(name, taskAt(next++));
        onResult?.(result);
      }
    };
    const lanes = Math.min(count, this.#threads * IN_FLIGHT_PER_THREAD);
    await Promise.all(Array.from({ length: lanes }, lane));
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}
