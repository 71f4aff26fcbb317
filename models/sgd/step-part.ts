import type { SgdSettings } from './sgd-settings.js';

/** What a step is of its epoch: positions `start` (in) to `end` (out) of the epoch's order. */
export interface StepPart {
  readonly epoch: number;
  readonly start: number;
  readonly end: number;
}

/** @param entries of the block. @param step counted over the run. */
export function stepPart({ stepsPerEpoch }: SgdSettings, entries: number, step: number): StepPart {
  const epoch = Math.floor(step / stepsPerEpoch);
  const part = step - epoch * stepsPerEpoch;
  const start = Math.floor((part * entries) / stepsPerEpoch);
  return { epoch, start, end: Math.floor(((part + 1) * entries) / stepsPerEpoch) };
}
