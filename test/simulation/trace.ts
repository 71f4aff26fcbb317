/** How many events a failing run shows: the last second or two of a busy one. */
const KEPT = 60;

/** The last events of a run, for people. Parts are put together only when somebody reads them. */
export class Trace {
  readonly #events: (readonly [atMs: number, who: string, what: string, details: readonly unknown[]])[] = [];
  #count = 0;

  add(atMs: number, who: string, what: string, ...details: readonly unknown[]): void {
    this.#events[this.#count++ % KEPT] = [atMs, who, what, details];
  }

  /** Events so far, the forgotten ones included: equal runs have equal counts. */
  get count(): number {
    return this.#count;
  }

  lines(): string[] {
    const start = Math.max(0, this.#count - KEPT);
    return Array.from({ length: this.#count - start }, (_, n) => {
      const [atMs, who, what, details] = this.#events[(start + n) % KEPT]!;
      return `${atMs.toFixed(1).padStart(9)} ms  ${who.padEnd(12)} ${[what, ...details].join(' ')}`;
    });
  }
}
