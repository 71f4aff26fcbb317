// What one member may take of a coordinator: calls and bytes by token buckets, calls at once, and time in a call.
// Pure: time is passed in, and the decision comes back as an error or nothing.

import { StoaError } from '../../common/errors.js';
import { type Bucket, type BucketRate, fullBucket, refill, waitMs } from './token-bucket.js';

export interface MemberLimits {
  /** Calls. */
  calls: BucketRate;
  /** Bytes of messages that the member sends. */
  bytes: BucketRate;
  /** Calls that are open at once. */
  openCallsMax: number;
  /** How long one call may last, ms. */
  callMsMax: number;
}

/**
 * For a participant with full statistics of 4,096 items at K = 64: a sweep is 70 MB, so that ten of them can follow
 * each other at once and one a second in the long run. A round takes some tens of calls.
 */
export const DEFAULT_LIMITS: MemberLimits = {
  calls: { perSecond: 50, burst: 500 },
  bytes: { perSecond: 100e6, burst: 1e9 },
  openCallsMax: 32,
  // A call waits for a round at most; rounds have deadlines of minutes.
  callMsMax: 30 * 60_000,
};

/**
 * For callers without a certificate, one for each address: joining takes one call, a health check one every few
 * seconds, and a whole institution may share an address.
 */
export const STRANGER_LIMITS: MemberLimits = {
  calls: { perSecond: 2, burst: 60 },
  bytes: { perSecond: 10e3, burst: 200e3 },
  openCallsMax: 16,
  callMsMax: 10_000,
};

export class Allowance {
  readonly #limits: MemberLimits;
  readonly #who: string;
  #calls: Bucket;
  #bytes: Bucket;
  /** `0 <= #openCalls <= openCallsMax`. */
  #openCalls = 0;

  constructor(who: string, limits: MemberLimits, nowMs: number) {
    this.#who = who;
    this.#limits = limits;
    this.#calls = fullBucket(limits.calls, nowMs);
    this.#bytes = fullBucket(limits.bytes, nowMs);
  }

  /**
   * Takes one call, which `endCall` gives back. While bytes are owed no call begins.
   *
   * @throws {StoaError} `STOA_BUSY` with `retryAfterMs`; nothing was taken.
   */
  beginCall(nowMs: number): void {
    const { calls, bytes, openCallsMax } = this.#limits;
    this.#calls = refill(this.#calls, calls, nowMs);
    this.#bytes = refill(this.#bytes, bytes, nowMs);
    const afterMs = Math.max(waitMs(this.#calls, calls, 1), waitMs(this.#bytes, bytes, 0));
    if (afterMs > 0) throw busy(`${this.#who} has used up its calls or bytes`, afterMs);
    if (this.#openCalls >= openCallsMax) {
      throw busy(`${this.#who} has ${openCallsMax} calls open, the most it may have`, 1000);
    }
    this.#calls.level -= 1;
    this.#openCalls += 1;
  }

  endCall(): void {
    this.#openCalls = Math.max(0, this.#openCalls - 1);
  }

  /**
   * Counts bytes that have come in. They are here already, so the bucket may go below zero, once: the call that did it
   * ends, and no other begins until what is owed has flown in.
   *
   * @throws {StoaError} `STOA_BUSY` with `retryAfterMs`.
   */
  takeBytes(count: number, nowMs: number): void {
    const { bytes } = this.#limits;
    this.#bytes = refill(this.#bytes, bytes, nowMs);
    this.#bytes.level -= count;
    const afterMs = waitMs(this.#bytes, bytes, 0);
    if (afterMs > 0) throw busy(`${this.#who} sends more bytes than it may`, afterMs);
  }

  get callMsMax(): number {
    return this.#limits.callMsMax;
  }

  /** Nothing open and both buckets full: forgetting it changes nothing. */
  isIdle(nowMs: number): boolean {
    const { calls, bytes } = this.#limits;
    return (
      this.#openCalls === 0 &&
      refill(this.#calls, calls, nowMs).level >= calls.burst &&
      refill(this.#bytes, bytes, nowMs).level >= bytes.burst
    );
  }
}

function busy(what: string, retryAfterMs: number): StoaError {
  return new StoaError('STOA_BUSY', `${what}; try again in ${Math.ceil(retryAfterMs / 1000)} s`, {
    fields: { retryAfterMs },
  });
}
