/** How long one batch should keep the GPU: an abort waits for as much, and drivers end what takes seconds. */
const TARGET_MS = 40;

/** The first guess: a tenth of a second on a slow processor that plays a GPU. */
const OPERATIONS_START = 1e8;

/** Few enough for an emulated GPU, and more than the fastest card does in the target's time. */
const OPERATIONS_MIN = 2e7;
const OPERATIONS_MAX = 2e12;

/**
 * Sizes batches by how fast the last ones were. What a batch holds changes no bit of any row, so that it may depend on
 * the clock.
 */
export class Pace {
  #operations = OPERATIONS_START;
  #lastEndMs = 0;

  /** Floating-point operations that the next batch should have. */
  get operations(): number {
    return this.#operations;
  }

  /** Learns from a batch; times by one clock. Batches run one after another, so waiting is not counted. */
  learn(operations: number, submittedMs: number, endMs: number): void {
    const ms = Math.max(endMs - Math.max(submittedMs, this.#lastEndMs), 0.1);
    this.#lastEndMs = endMs;
    // A small batch measures the cost of a submit, not the speed: it may only raise the size.
    const ratio = TARGET_MS / ms;
    if (ratio < 1 || operations > this.#operations / 2) {
      const next = operations * Math.min(Math.max(ratio, 0.25), 2);
      this.#operations = Math.min(Math.max(next, OPERATIONS_MIN), OPERATIONS_MAX);
    }
  }
}
