// The run that is about to begin. Workers that wait for its first blocks are told of it, so that they read their
// shards while the coordinator plans.

import type { Run } from './run.js';
import type { RunData } from './run-data.js';

export interface UpcomingRun {
  run: Run;
  data: RunData;
}

export class Preparation {
  readonly #waiting = new Set<(upcoming: UpcomingRun) => void>();
  #expected: UpcomingRun | undefined;
  #upcoming: UpcomingRun | undefined;

  get upcoming(): UpcomingRun | undefined {
    return this.#upcoming;
  }

  /** Tells of a run once `isTime` resolves, unless it is cleared before. */
  async announce(run: UpcomingRun, isTime: Promise<void>): Promise<void> {
    this.#expected = run;
    await isTime;
    if (this.#expected !== run) return;
    this.#upcoming = run;
    for (const tell of [...this.#waiting]) tell(run);
  }

  /** From now on nobody is told: blocks of the run are lent, or it has ended. */
  clear(): void {
    this.#expected = undefined;
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
