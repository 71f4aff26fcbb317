/**
 * A leader stops this long before its lease may have passed on: for clocks that do not run quite alike, a quarter of the
 * shortest lease.
 */
const MARGIN_MS = 500;

/** A lease is renewed this often while it lives: with the shortest, a leader may stand still for 1.1 s and keep it. */
export const RENEWALS = 5;

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
