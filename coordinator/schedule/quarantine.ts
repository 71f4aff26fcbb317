/** A worker is known by its key: a new session does not wash it clean. */
interface Mark {
  readonly reason: string;
  /** Its result was shown to be wrong: it gets nothing even if nobody else is there. */
  readonly isProven: boolean;
}

/**
 * The workers that a run keeps away from its blocks, and why. One whose blocks keep failing is kept away while others
 * are there: it may be the blocks' fault after all.
 */
export class Quarantine {
  readonly #failuresMax: number;
  /** Blocks that failed since the last success. */
  readonly #failures = new Map<string, number>();
  readonly #marks = new Map<string, Mark>();

  /** @param failuresMax failures in a row that are too many. */
  constructor(failuresMax: number) {
    this.#failuresMax = failuresMax;
  }

  get size(): number {
    return this.#marks.size;
  }

  succeeded(key: string): void {
    this.#failures.delete(key);
  }

  /** Counts a failure; true when it is the one too many. */
  failed(key: string, reason: string): boolean {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    if (failures < this.#failuresMax || this.#marks.has(key)) return false;
    const text = `${failures} of its blocks failed in a row, the last with: ${reason}`;
    this.#marks.set(key, { reason: text, isProven: false });
    return true;
  }

  /** Its result differs from one that two others agree on. */
  prove(key: string, reason: string): void {
    this.#marks.set(key, { reason, isProven: true });
  }

  markOf(key: string): Mark | undefined {
    return this.#marks.get(key);
  }
}
