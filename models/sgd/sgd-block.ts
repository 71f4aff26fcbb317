import { ShapeError } from '../../common/errors.js';
import { bprStep } from './bpr-step.js';
import type { TaskSamples } from './draw-samples.js';
import { learningRate } from './learning-rate.js';
import { mfStep } from './mf-step.js';
import { runAway } from './run-away.js';
import { type SgdSettings, sgdColumns } from './sgd-settings.js';

export interface SgdBlockInput {
  readonly settings: SgdSettings;
  readonly samples: TaskSamples;
  /** The block's user rows at its own clock: f32 [rows, columns], row-major; see `sgdColumns`. */
  readonly users: Float32Array;
  /** The item rows that `samples.items` names, as they were read: f32 [items.length, columns]. */
  readonly items: Float32Array;
  /** Polled once a step; true makes the call throw `SgdAborted`. */
  readonly isAborted?: () => boolean;
}

export interface SgdBlockResult {
  /** The block's user rows after the task, [rows, columns]. */
  readonly users: Float32Array;
  /** What the task adds to each item row that it read, [items.length, columns]: columns that stay 1 have 0. */
  readonly deltas: Float32Array;
  /** How often each item row was changed, [items.length]. */
  readonly counts: Uint32Array;
  /** Sum of the samples' losses, each before its change: −ln σ for `bpr`, squared errors for `mf`. */
  readonly loss: number;
  /** Samples that counted. */
  readonly sampleCount: number;
}

/** The caller's `isAborted` answered true. */
export class SgdAborted extends Error {}

/**
 * Runs the steps of one block task: a pure function of what is passed in, which is not changed.
 *
 * @throws {ShapeError} a length disagrees.
 * @throws {NumericError} `STOA_NUMERIC_NOT_FINITE`: the descent ran away, or a row that was read is not finite.
 * @throws {SgdAborted}
 */
export function sgdBlock(input: SgdBlockInput): SgdBlockResult {
  const { settings, samples } = input;
  const { model, factors, regularization, mean } = settings;
  checkInput(input);
  const users = Float32Array.from(input.users);
  const items = Float32Array.from(input.items);
  const counts = new Uint32Array(samples.items.length);
  const rows = { users, items, counts, factors };
  let loss = 0;
  let sampleCount = 0;
  for (const step of samples.steps) {
    if (input.isAborted?.() === true) throw new SgdAborted('the block was aborted');
    const rates = { learningRate: learningRate(settings, step.step), regularization, mean };
    const sums = model === 'bpr' ? bprStep(step, rows, rates) : mfStep(step, rows, rates);
    loss += sums.loss;
    sampleCount += sums.samples;
  }
  for (let n = 0; n < items.length; n++) items[n] = items[n]! - input.items[n]!;
  requireFinite(settings, loss, users, items);
  return { users, deltas: items, counts, loss, sampleCount };
}

function checkInput({ settings, samples, users, items }: SgdBlockInput): void {
  const columns = sgdColumns(settings.model, settings.factors);
  if (users.length % columns !== 0) {
    throw new ShapeError(
      'STOA_SHAPE',
      `${users.length} numbers are not whole user rows of ${columns} columns`,
    );
  }
  if (items.length !== samples.items.length * columns) {
    throw new ShapeError(
      'STOA_SHAPE',
      `${items.length} numbers were read where ${samples.items.length} item rows of ${columns} columns were expected`,
    );
  }
}

/** x − x is 0 for every finite x, and NaN otherwise. */
function requireFinite(settings: SgdSettings, loss: number, users: Float32Array, deltas: Float32Array): void {
  let sum = loss - loss;
  for (let n = 0; n < users.length; n++) sum += users[n]! - users[n]!;
  for (let n = 0; n < deltas.length; n++) sum += deltas[n]! - deltas[n]!;
  if (sum === 0) return;
  throw runAway(settings);
}
