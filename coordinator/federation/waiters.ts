/** Calls that wait until something happens, a while at most. */
export class Waiters {
  #waiting: (() => void)[] = [];

  /** Resolves at the next `wake`, or after the time. */
  wait(ms: number): Promise<void> {
    return new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
