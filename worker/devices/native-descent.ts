// Steps of stochastic gradient descent by the kernels of the native device.

import { ShapeError } from '../../common/errors.js';
import { sharedFloat32, sharedInt32 } from '../../common/shared-memory.js';
import {
  type Addon,
  type AddonAnswer,
  type AddonCall,
  type AddonDevice,
  FAILURE,
} from '../../kernels/binding/addon.js';
import type { BlockDescent, DescendTask, DrawTask } from '../../models/sgd/block-descent.js';
import type { StepSamples, TaskSamples } from '../../models/sgd/draw-samples.js';
import { learningRate } from '../../models/sgd/learning-rate.js';
import { NegativeSampler } from '../../models/sgd/negative-sampler.js';
import { runAway } from '../../models/sgd/run-away.js';
import type { SgdBlockResult } from '../../models/sgd/sgd-block.js';
import { sgdColumns } from '../../models/sgd/sgd-settings.js';
import { stepPart } from '../../models/sgd/step-part.js';
import { held } from './held.js';
import { outOfMemory } from './native-errors.js';

/** Starts a call of the addon and waits for it; as the device does for blocks of rows. */
export type RunCall = <T extends AddonAnswer>(
  signal: AbortSignal | undefined,
  start: () => AddonCall<T>,
) => Promise<T>;

export class NativeDescent implements BlockDescent {
  readonly #addon: Addon;
  readonly #device: AddonDevice;
  readonly #run: RunCall;
  #kept: { runId: string; cumulative: Float64Array | undefined } | undefined;

  constructor(addon: Addon, device: AddonDevice, run: RunCall) {
    this.#addon = addon;
    this.#device = device;
    this.#run = run;
  }

  async draw(task: DrawTask, signal?: AbortSignal): Promise<{ samples: TaskSamples; ms: number }> {
    const { interactions, settings, block, stepStart, stepEnd } = task;
    const { rows, cols, ptr, idx } = interactions;
    const hasNegatives = settings.model === 'bpr';
    const entries = ptr[rows]!;
    const steps = Math.max(0, stepEnd - stepStart);
    const parts = Array.from({ length: steps }, (_, n) => stepPart(settings, entries, stepStart + n));
    const count = parts.reduce((sum, { start, end }) => sum + end - start, 0);
    const users = sharedInt32(count);
    const positives = sharedInt32(count);
    const negatives = sharedInt32(hasNegatives ? count : 0);
    const values = sharedFloat32(hasNegatives ? 0 : count);
    const items = sharedInt32(cols);
    const answer = await this.#run(signal, () =>
      this.#addon.drawSamples(this.#device, {
        rows,
        cols,
        ptr: held(ptr),
        idx: held(idx.subarray(0, entries)),
        values: held(interactions.values?.subarray(0, entries)),
        seed: settings.seed,
        block,
        steps,
        parts: Int32Array.from(parts.flatMap(({ epoch, start, end }) => [epoch, start, end])),
        hasNegatives,
        cumulative: hasNegatives ? this.#cumulativeOf(task) : undefined,
        users,
        positives,
        negatives,
        sampleValues: values,
        items,
      }),
    );
    if (answer.kind === FAILURE.column) {
      throw new ShapeError('STOA_SHAPE', `entry ${answer.detail} of block ${block} names no item of ${cols}`);
    }
    if (answer.kind !== FAILURE.none) throw outOfMemory();
    let from = 0;
    const drawn = parts.map(({ start, end }, n): StepSamples => {
      const to = from + end - start;
      const step = {
        step: stepStart + n,
        count: end - start,
        users: users.subarray(from, to),
        positives: positives.subarray(from, to),
        negatives: hasNegatives ? negatives.subarray(from, to) : negatives,
        values: hasNegatives ? values : values.subarray(from, to),
      };
      from = to;
      return step;
    });
    return { samples: { items: items.slice(0, answer.itemCount), steps: drawn }, ms: answer.ms };
  }

  async descend(task: DescendTask, signal?: AbortSignal): Promise<{ result: SgdBlockResult; ms: number }> {
    const { settings, samples } = task;
    const columns = sgdColumns(settings.model, settings.factors);
    const rows = task.users.length / columns;
    if (!Number.isInteger(rows)) {
      throw new ShapeError(
        'STOA_SHAPE',
        `${task.users.length} numbers are not whole user rows of ${columns}`,
      );
    }
    const hasPairs = settings.model === 'bpr';
    const places = samples.items.length;
    const users = sharedFloat32(task.users.length);
    const deltas = sharedFloat32(places * columns);
    const counts = sharedInt32(places);
    const { steps } = samples;
    let end = 0;
    const answer = await this.#run(signal, () =>
      this.#addon.descend(this.#device, {
        hasPairs,
        rows,
        places,
        factors: settings.factors,
        steps: steps.length,
        stepEnds: Int32Array.from(steps, ({ count }) => {
          end += count;
          return end;
        }),
        rates: Float64Array.from(steps, ({ step }) => learningRate(settings, step)),
        regularization: settings.regularization,
        mean: settings.mean,
        users: held(task.users),
        items: held(task.items),
        sampleUsers: inOneInt32(steps.map((step) => step.users)),
        positives: inOneInt32(steps.map((step) => step.positives)),
        negatives: inOneInt32(hasPairs ? steps.map((step) => step.negatives) : []),
        values: inOneFloat32(hasPairs ? [] : steps.map((step) => step.values)),
        outUsers: users,
        deltas,
        counts,
      }),
    );
    if (answer.kind === FAILURE.column) {
      throw new ShapeError('STOA_SHAPE', `a sample at or after ${answer.row} names a row that is not there`);
    }
    if (answer.kind === FAILURE.notFinite) throw runAway(settings);
    if (answer.kind !== FAILURE.none) throw outOfMemory();
    const { loss, samples: sampleCount } = answer;
    return {
      result: { users, deltas, counts: new Uint32Array(counts.buffer), loss, sampleCount },
      ms: answer.ms,
    };
  }

  #cumulativeOf({ runId, itemCounts, settings }: DrawTask): Float64Array | undefined {
    if (this.#kept?.runId !== runId) {
      this.#kept = { runId, cumulative: new NegativeSampler(itemCounts, settings).cumulative };
    }
    return this.#kept.cumulative;
  }
}

/** One list of several; the only one as it is. */
function inOneInt32(parts: readonly Int32Array[]): Int32Array {
  if (parts.length === 1) return held(parts[0]!);
  const all = sharedInt32(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function inOneFloat32(parts: readonly Float32Array[]): Float32Array {
  if (parts.length === 1) return held(parts[0]!);
  const all = sharedFloat32(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
