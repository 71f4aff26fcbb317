// How long an engine takes to reach a loss: that of the peer after its usual number of epochs.

import path from 'node:path';
import { median } from '../support/median.js';
import { type Bench, judge, type Setting, trainImplicit, trainStoa } from './cell.js';

/** What implicit trains for unless it is told otherwise. */
export const EPOCHS_USUAL = 15;

/** Steps of conjugate gradients to try: as many as implicit takes, and one less, which whitened steps can do with. */
const STEPS = [3, 2];

export interface TimeToLoss extends Setting {
  /** Of implicit after `EPOCHS_USUAL` epochs. */
  loss: number;
  /** Seconds of these epochs, one number a run. */
  implicitSeconds: number[];
  stoa: StoaTime[];
}

interface StoaTime {
  cgSteps: number;
  /** After which `stoa train` is at most at implicit's loss, and its loss then; absent when `EPOCHS_USUAL` do not do. */
  reached?: { epochs: number; loss: number };
  /** Of these epochs, one number a run. */
  seconds: number[];
}

/** Finds the epochs that Stoa needs, then lets all run so long, in turns. */
export function timeToLoss(bench: Bench, setting: Setting, repeats: number): TimeToLoss {
  const out = path.join(bench.folder, 'time-to-loss');
  const implicit = { ...setting, epochs: EPOCHS_USUAL };
  const implicitRuns = [trainImplicit(bench, implicit, out)];
  const { loss } = judge(bench, out);
  const stoa: StoaTime[] = STEPS.map((cgSteps) => {
    const lossAfter = (epochs: number) => {
      trainStoa(bench, { ...setting, cgSteps, epochs }, out);
      return judge(bench, out).loss;
    };
    return { cgSteps, reached: leastEpochs(loss, lossAfter), seconds: [] };
  });
  for (let n = 0; n < repeats; n++) {
    if (n > 0) implicitRuns.push(trainImplicit(bench, implicit, out));
    for (const { cgSteps, reached, seconds } of stoa) {
      if (reached === undefined) continue;
      seconds.push(total(trainStoa(bench, { ...setting, cgSteps, epochs: reached.epochs }, out)));
    }
  }
  return { ...implicit, loss, implicitSeconds: implicitRuns.map(total), stoa };
}

/** By halving: the loss falls with every epoch. */
function leastEpochs(loss: number, lossAfter: (epochs: number) => number): StoaTime['reached'] {
  let reached = { epochs: EPOCHS_USUAL, loss: lossAfter(EPOCHS_USUAL) };
  if (reached.loss > loss) return undefined;
  for (let least = 1; least < reached.epochs; ) {
    const epochs = Math.floor((least + reached.epochs) / 2);
    const found = lossAfter(epochs);
    if (found > loss) least = epochs + 1;
    else reached = { epochs, loss: found };
  }
  return reached;
}

function total({ epoch_seconds }: { epoch_seconds: readonly number[] }): number {
  return epoch_seconds.reduce((sum, one) => sum + one, 0);
}

/** A sentence for each number of steps. */
export function describeTimeToLoss({ factors, threads, loss, implicitSeconds, stoa }: TimeToLoss): string {
  const implicit = median(implicitSeconds);
  const lines = stoa.map(({ cgSteps, reached, seconds }) => {
    if (reached === undefined) return `stoa with CG(${cgSteps}) is not there after as many epochs`;
    const took = median(seconds);
    return (
      `stoa with CG(${cgSteps}) takes ${took.toFixed(2)} s (${reached.epochs} epochs, ${reached.loss.toFixed(0)}): ` +
      `${(implicit / took).toFixed(2)}×`
    );
  });
  return (
    `K = ${factors}, ${threads} threads: to its loss after ${EPOCHS_USUAL} epochs, ${loss.toFixed(0)}, implicit takes ` +
    `${implicit.toFixed(2)} s\n${lines.join('\n')}`
  );
}
