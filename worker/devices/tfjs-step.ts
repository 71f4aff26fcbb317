// What the tasks of a tfjs engine share: its provider, its tables, and the way a step's results come back.

import type { Tensor } from '@tensorflow/tfjs-core';
import type { Tf } from './tfjs-backend.js';
import type { TfjsLimits } from './tfjs-limits.js';
import type { TfjsTables } from './tfjs-tables.js';

/** The task's abort flag was set. */
export class TfjsAborted extends Error {}

export interface TfjsContext {
  readonly tf: Tf;
  readonly tables: TfjsTables;
  readonly limits: TfjsLimits;
}

/**
 * Runs steps one after the other, each one's results being read while the next one computes.
 *
 * @param launch starts a step and answers its tensors, which are read and freed here.
 * @param finish gets their values.
 */
export async function runSteps<S>(
  abort: Int32Array,
  steps: readonly S[],
  launch: (step: S) => Tensor[],
  finish: (step: S, values: Float32Array[]) => void,
): Promise<void> {
  let pending: { step: S; reading: Promise<Float32Array[]> } | undefined;
  try {
    for (const step of steps) {
      if (Atomics.load(abort, 0) !== 0) throw new TfjsAborted('the task was aborted');
      const tensors = launch(step);
      const before = pending;
      pending = { step, reading: readAll(tensors) };
      if (before !== undefined) finish(before.step, await before.reading);
    }
    if (pending !== undefined) finish(pending.step, await pending.reading);
    pending = undefined;
  } finally {
    // After a failure the last step's tensors are still to be freed.
    await pending?.reading.catch(() => {});
  }
}

async function readAll(tensors: Tensor[]): Promise<Float32Array[]> {
  try {
    return await Promise.all(tensors.map((tensor) => tensor.data<'float32'>()));
  } finally {
    for (const tensor of tensors) tensor.dispose();
  }
}
