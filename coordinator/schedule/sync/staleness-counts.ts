/** Staleness above this is counted together: only `asp` comes here. */
export const STALENESS_COUNTED_MAX = 255;

/** How many reads were how many clocks behind. */
export class StalenessCounts {
  readonly #counts: number[] = [];

  add(staleness: number): void {
    const at = Math.min(staleness, STALENESS_COUNTED_MAX);
    while (this.#counts.length <= at) this.#counts.push(0);
    this.#counts[at]!++;
  }

  /** Entry s: reads that were s clocks behind; the last entry is not 0. */
  toArray(): number[] {
    return [...this.#counts];
  }
}
