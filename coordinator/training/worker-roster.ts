import type { DeviceFacts } from '../../models/device-facts.js';

/** Sessions that ended and are still remembered: for what a run's result says of its workers. */
const GONE_MAX = 1000;

export interface RosterEntry {
  readonly name: string;
  readonly threads: number;
  /** Kind of its device. */
  readonly device: string;
  readonly facts: DeviceFacts;
  /** Of what does its steps of stochastic gradient descent, where that is not the device. */
  readonly stepFacts?: DeviceFacts;
  /** Peak resident set size of the worker's process; 0 before its first heartbeat. */
  peakRssBytes: number;
  isAlive: boolean;
}

/** Who the workers are, by session, for people: names, devices, memory. */
export class WorkerRoster {
  readonly #bySession = new Map<string, RosterEntry>();

  join(
    sessionId: string,
    worker: Pick<RosterEntry, 'name' | 'threads' | 'device' | 'facts' | 'stepFacts'>,
  ): void {
    this.#bySession.set(sessionId, { ...worker, peakRssBytes: 0, isAlive: true });
    if (this.#bySession.size <= GONE_MAX) return;
    for (const [id, entry] of this.#bySession) {
      if (entry.isAlive) continue;
      this.#bySession.delete(id);
      return;
    }
  }

  observe(sessionId: string, peakRssBytes: number): void {
    const entry = this.#bySession.get(sessionId);
    if (entry !== undefined) entry.peakRssBytes = Math.max(entry.peakRssBytes, peakRssBytes);
  }

  leave(sessionId: string): void {
    const entry = this.#bySession.get(sessionId);
    if (entry !== undefined) entry.isAlive = false;
  }

  get(sessionId: string): RosterEntry | undefined {
    return this.#bySession.get(sessionId);
  }

  nameOf(sessionId: string): string {
    return this.#bySession.get(sessionId)?.name ?? sessionId;
  }

  alive(): [string, RosterEntry][] {
    return [...this.#bySession].filter(([, entry]) => entry.isAlive);
  }
}
