// The run that is about to begin. Workers that wait for its first blocks are told of it, so that they read their
// shards while the coordinator plans.

import type { Side } from '../../models/csr.js';
import type { Run } from './run.js';
import type { RunData } from './run-data.js';

export interface UpcomingRun {
  run: Run;
  data: RunData;
  /** By shard, the session that will most likely get its blocks. */
  homes: Record<Side, readonly string[]>;
}

export class Preparation {
  readonly #waiting = new Set<(upcoming: UpcomingRun) => void>();
  #expectedId: string | undefined;
  #upcoming: UpcomingRun | undefined;

  get upcoming(): UpcomingRun | undefined {
    return this.#upcoming;
  }

  /** Tells of a run once it is ready, unless it is cleared before, or there is nothing to tell. */
  async announce(runId: string, ready: () => Promise<UpcomingRun | undefined>): Promise<void> {
    this.#expectedId = runId;
    const upcoming = await ready();
    if (this.#expectedId !== runId || upcoming === undefined) return;
    this.#upcoming = upcoming;
    for (const tell of [...this.#waiting]) tell(upcoming);
  }

  /** From now on nobody is told: blocks of the run are lent, or it has ended. */
  clear(): void {
    this.#expectedId = undefined;
    this.#upcoming = undefined;
  }

  /**
   * The answer, or the run that is about to begin where that is there first and the caller does not know it yet.
   *
   * @param knownRunId the run that the caller was told of last.
   */
  async orUpcoming<T>(answer: Promise<T>, knownRunId: string): Promise<T | UpcomingRun> {
    let tell: ((upcoming: UpcomingRun) => void) | undefined;
    const upcoming = new Promise<UpcomingRun>((resolve) => {
      tell = (one) => {
        if (one.run.id !== knownRunId) resolve(one);
      };
      if (this.#upcoming !== undefined) tell(this.#upcoming);
      this.#waiting.add(tell);
    });
    try {
      return await Promise.race([answer, upcoming]);
    } finally {
      this.#waiting.delete(tell!);
    }
  }
}
