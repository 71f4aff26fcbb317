// Runs the tasks of building a dataset: on threads when there is much to do, else right here.

import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { builtEntry } from '../common/package-root.js';
import runScatterTask, { type ScatterTask } from './csr/scatter-task.js';
import runFileTask, { type FileFacts, type FileTask } from './file-task.js';

/** More threads than this only wait for memory. */
const SORT_THREADS_MAX = 8;
/** These wait for the disk half of the time, so two are enough on any machine. */
const FILE_THREADS = 2;

export class BuildPool {
  /** Threads that sort; with 1, everything runs in the calling thread. */
  readonly threads: number;
  private sorters?: Piscina<ScatterTask, void>;
  private writers?: Piscina<FileTask, FileFacts>;

  /** @param threads @default the machine's cores, at most 8 */
  constructor(threads?: number) {
    this.threads = Math.min(threads ?? availableParallelism(), SORT_THREADS_MAX);
  }

  async sort(tasks: readonly ScatterTask[]): Promise<void> {
    if (this.threads === 1 || tasks.length === 1) {
      for (const task of tasks) runScatterTask(task);
      return;
    }
    this.sorters ??= newThreads('datasets/csr/scatter-task.js', this.threads);
    const { sorters } = this;
    await allSettledOrThrow(tasks.map((task) => sorters.run(task)));
  }

  /** Reads or writes files, each task's facts in its place. */
  async files(tasks: readonly FileTask[]): Promise<FileFacts[]> {
    if (this.threads === 1) {
      const facts: FileFacts[] = [];
      for (const task of tasks) facts.push(await runFileTask(task));
      return facts;
    }
    this.writers ??= newThreads('datasets/file-task.js', FILE_THREADS);
    const { writers } = this;
    return allSettledOrThrow(tasks.map((task) => writers.run(task)));
  }

  async close(): Promise<void> {
    await Promise.all([this.sorters?.destroy(), this.writers?.destroy()]);
  }
}

function newThreads<T, R>(entry: string, threads: number): Piscina<T, R> {
  return new Piscina<T, R>({ filename: builtEntry(entry).href, minThreads: threads, maxThreads: threads });
}

/** Waits for all, so that nothing goes on behind an error; then throws the first. */
async function allSettledOrThrow<T>(calls: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
