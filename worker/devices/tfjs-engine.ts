// What the thread of a tfjs device does: tasks, one after the other, on one provider.

import { StoaError } from '../../common/errors.js';
import type { BlockLoss } from '../../models/device.js';
import type { TfjsBackend } from './tfjs-backend.js';
import { tfjsLimits } from './tfjs-limits.js';
import type { TfjsAnswer, TfjsMemory, TfjsTask } from './tfjs-messages.js';
import { tfjsRank } from './tfjs-rank.js';
import { tfjsScore } from './tfjs-score.js';
import { tfjsSolve } from './tfjs-solve.js';
import { TfjsAborted, type TfjsContext } from './tfjs-step.js';
import { TfjsTables } from './tfjs-tables.js';

export class TfjsEngine {
  readonly #backend: TfjsBackend;
  readonly #context: TfjsContext;

  constructor(backend: TfjsBackend) {
    const limits = tfjsLimits(backend);
    this.#backend = backend;
    this.#context = { tf: backend.tf, limits, tables: new TfjsTables(backend.tf, limits.isGatheredOnHost) };
  }

  /** Runs one task. Answers errors that a user can meet; throws what the provider throws, and on a bug of ours. */
  async run(task: TfjsTask): Promise<TfjsAnswer> {
    const startMs = performance.now();
    try {
      const loss = await this.#run(task);
      return { kind: 'done', ms: performance.now() - startMs, loss };
    } catch (error) {
      if (error instanceof TfjsAborted) return { kind: 'aborted' };
      if (!(error instanceof StoaError)) throw error;
      const { name, code, message, fields } = error;
      return { kind: 'failed', name, code, message, fields };
    }
  }

  async #run(task: TfjsTask): Promise<BlockLoss | undefined> {
    switch (task.kind) {
      case 'solve':
        return tfjsSolve(this.#context, task);
      case 'rank':
        await tfjsRank(this.#context, task);
        return undefined;
      case 'score':
        await tfjsScore(this.#context, task);
        return undefined;
    }
  }

  /** Frees what was uploaded of a table. */
  free(table: number): void {
    this.#context.tables.free(table);
  }

  memory(): TfjsMemory {
    const { numTensors, numBytes } = this.#backend.tf.memory();
    return { tensors: numTensors, bytes: numBytes };
  }

  dispose(): void {
    this.#context.tables.dispose();
    this.#backend.dispose();
  }
}
