/** Time as code sees it, so that tests and simulations can pass their own. */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary origin: for durations and deadlines. */
  nowMs(): number;
  /** Wall clock: for people and files only, never for decisions. */
  date(): Date;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  date: () => new Date(),
};
