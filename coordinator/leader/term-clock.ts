/** A leader stops this long before its lease may have passed on: for clocks that do not run quite alike. */
const MARGIN_MS = 1000;

/**
 * For how long a leader may lead, by its own clock alone: counted from before the lease, or its last renewal, was asked
 * for, and never again once it is over.
 */
export class TermClock {
  readonly #ttlMs: number;
  #deadlineMs: number;
  #isOver = false;

  /** @param sinceMs when the lease was asked for. */
  constructor(ttlMs: number, sinceMs: number) {
    this.#ttlMs = ttlMs;
    this.#deadlineMs = sinceMs + ttlMs - MARGIN_MS;
  }

  /** The lease was renewed; @param askedMs when that was asked for. */
  renewed(askedMs: number): void {
    this.#deadlineMs = Math.max(this.#deadlineMs, askedMs + this.#ttlMs - MARGIN_MS);
  }

  isOver(nowMs: number): boolean {
    if (nowMs >= this.#deadlineMs) this.#isOver = true;
    return this.#isOver;
  }

  end(): void {
    this.#isOver = true;
  }
}
