// How long an engine takes to reach a loss: that of the peer after its usual number of epochs.

import path from 'node:path';
import { median } from '../support/median.js';
import { type Bench, judge, type Setting, trainImplicit, trainStoa } from './cell.js';

/** What implicit trains for unless it is told otherwise. */
export const EPOCHS_USUAL = 15;

export interface TimeToLoss extends Setting {
  /** Of implicit after `EPOCHS_USUAL` epochs. */
  loss: number;
  /** Epochs after which `stoa train` is at most there, and its loss then. */
  stoaEpochs: number;
  stoaLoss: number;
  /** Seconds of these epochs, one number a run. */
  implicitSeconds: number[];
  stoaSeconds: number[];
}

/**
 * Finds the epochs that Stoa needs, then lets both run so long, in turns.
 *
 * @returns undefined when Stoa is not there after as many epochs.
 */
export function timeToLoss(bench: Bench, setting: Setting, repeats: number): TimeToLoss | undefined {
  const out = path.join(bench.folder, 'time-to-loss');
  const implicit = { ...setting, epochs: EPOCHS_USUAL };
  const implicitRuns = [trainImplicit(bench, implicit, out)];
  const { loss } = judge(bench, out);
  const lossAfter = (epochs: number): number => {
    trainStoa(bench, { ...setting, epochs }, out);
    return judge(bench, out).loss;
  };
  let least = 1;
  let most = EPOCHS_USUAL;
  let stoaLoss = lossAfter(most);
  if (stoaLoss > loss) return undefined;
  while (least < most) {
    const middle = Math.floor((least + most) / 2);
    const found = lossAfter(middle);
    if (found > loss) least = middle + 1;
    else {
      most = middle;
      stoaLoss = found;
    }
  }
  const stoaRuns = [];
  for (let n = 0; n < repeats; n++) {
    if (n > 0) implicitRuns.push(trainImplicit(bench, implicit, out));
    stoaRuns.push(trainStoa(bench, { ...setting, epochs: most }, out));
  }
  const seconds = (runs: readonly { epoch_seconds: number[] }[]) =>
    runs.map((run) => run.epoch_seconds.reduce((sum, one) => sum + one, 0));
  return {
    ...implicit,
    loss,
    stoaEpochs: most,
    stoaLoss,
    implicitSeconds: seconds(implicitRuns),
    stoaSeconds: seconds(stoaRuns),
  };
}

/** One sentence for people. */
export function describeTimeToLoss(one: TimeToLoss): string {
  const implicit = median(one.implicitSeconds);
  const stoa = median(one.stoaSeconds);
  return (
    `K = ${one.factors}, ${one.threads} threads: implicit's loss after ${EPOCHS_USUAL} epochs, ${one.loss.toFixed(0)}, ` +
    `takes implicit ${implicit.toFixed(2)} s and stoa ${stoa.toFixed(2)} s ` +
    `(${one.stoaEpochs} epochs, ${one.stoaLoss.toFixed(0)}): ${(implicit / stoa).toFixed(2)}×`
  );
}
