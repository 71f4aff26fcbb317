import type { SgdSettings } from './sgd-settings.js';

/**
 * η of a step.
 *
 * @param step counted over the run: epoch × stepsPerEpoch + step of the epoch.
 *
 * A function of the step alone: whoever computes a step, late or twice, takes the same rate.
 */
export function learningRate(settings: SgdSettings, step: number): number {
  const { learningRate: first, schedule, decay, stepsPerEpoch, epochs } = settings;
  const epoch = step / stepsPerEpoch;
  switch (schedule) {
    case 'constant':
      return first;
    case 'inverse':
      return first / (1 + decay * epoch);
    case 'cosine':
      return first * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, epoch / epochs)));
  }
}
