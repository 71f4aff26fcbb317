import type { Lease } from './events.js';

/** Answers remembered for each session: a worker repeats a request at once or not at all. */
const ANSWERED_MAX = 64;
/** Requests of one session that may wait; a worker has one. */
const WAITING_MAX = 4;

export interface LeaseRequest {
  readonly sessionId: string;
  readonly requestId: string;
  readonly count: number;
  /** When it is answered even if there is nothing to lend. */
  readonly deadlineMs: number;
}

/** Requests that wait for something to lend, in order of arrival, and what earlier ones got. */
export class LeaseRequests {
  #waiting: LeaseRequest[] = [];
  readonly #answered = new Map<string, Map<string, readonly Lease[]>>();

  /** What the same request got before, or undefined when it is new. */
  answerOf(sessionId: string, requestId: string): readonly Lease[] | undefined {
    return this.#answered.get(sessionId)?.get(requestId);
  }

  /** Lets a request wait. Returns one that must be answered empty because its session has too many. */
  wait(request: LeaseRequest): LeaseRequest | undefined {
    const ofSession = this.#waiting.filter((other) => other.sessionId === request.sessionId);
    if (ofSession.some((other) => other.requestId === request.requestId)) return undefined;
    this.#waiting.push(request);
    if (ofSession.length < WAITING_MAX) return undefined;
    this.remove(ofSession[0]!);
    return ofSession[0];
  }

  waiting(): readonly LeaseRequest[] {
    return this.#waiting;
  }

  /** Ends the wait and remembers what the request got. */
  answer(request: LeaseRequest, leases: readonly Lease[]): void {
    this.remove(request);
    if (leases.length === 0) return;
    let answered = this.#answered.get(request.sessionId);
    if (answered === undefined) {
      answered = new Map();
      this.#answered.set(request.sessionId, answered);
    }
    answered.set(request.requestId, leases);
    if (answered.size > ANSWERED_MAX) answered.delete(answered.keys().next().value!);
  }

  remove(request: LeaseRequest): void {
    this.#waiting = this.#waiting.filter((other) => other !== request);
  }

  /** Forgets a session; returns its requests that waited. */
  removeSession(sessionId: string): LeaseRequest[] {
    const ofSession = this.#waiting.filter((request) => request.sessionId === sessionId);
    this.#waiting = this.#waiting.filter((request) => request.sessionId !== sessionId);
    this.#answered.delete(sessionId);
    return ofSession;
  }
}
