/** Losses of parameter processes without a phase between them: more often, and something is wrong that waiting won't mend. */
export const LOSSES_MAX = 5;

/** Whether a run that lost rows goes back to its last checkpoint once more. */
export class LossLimit {
  readonly #lossesMax: number;
  #losses = 0;
  #phasesBefore = 0;

  constructor(lossesMax = LOSSES_MAX) {
    this.#lossesMax = lossesMax;
  }

  /** Counts a loss; false when there were too many without progress. @param phasesDone complete phases of the run. */
  allows(phasesDone: number): boolean {
    if (phasesDone > this.#phasesBefore) this.#losses = 0;
    this.#phasesBefore = phasesDone;
    this.#losses++;
    return this.#losses <= this.#lossesMax;
  }
}
