import type { PlanBlock } from '../plan/plan-blocks.js';
import type { Lease, SessionInfo } from './events.js';

/** What a block costs besides its flops (messages, copies), as flops: about 1 ms of the portable device. */
const OVERHEAD_WORK = 1e6;
/** Weight of the newest block in the moving average. */
const NEWEST = 0.3;

/**
 * How long blocks take, from grant to result, by session: a moving average of milliseconds a unit of work.
 * Waiting behind the session's other leases counts, so that it tells what to expect of the next lease.
 */
export class Pace {
  readonly #msPerWork = new Map<string, number>();
  #slowest: number | undefined;

  observe(lease: Lease, nowMs: number): void {
    const measured = (nowMs - lease.grantedMs) / cost(lease.block);
    const before = this.#msPerWork.get(lease.sessionId);
    this.#msPerWork.set(
      lease.sessionId,
      before === undefined ? measured : before + NEWEST * (measured - before),
    );
    this.#slowest = Math.max(...this.#msPerWork.values());
  }

  forget(sessionId: string): void {
    if (!this.#msPerWork.delete(sessionId)) return;
    this.#slowest = this.#msPerWork.size === 0 ? undefined : Math.max(...this.#msPerWork.values());
  }

  /** Milliseconds that a block may take at the session, or at the slowest one where it has not been timed. */
  expectedMs(block: PlanBlock, sessionId: string): number | undefined {
    const msPerWork = this.#msPerWork.get(sessionId) ?? this.#slowest;
    return msPerWork === undefined ? undefined : msPerWork * cost(block);
  }

  /** Relative speed for placement: the session's threads, up to doubled when its blocks come back sooner than others'. */
  speedOf(info: SessionInfo): number {
    const msPerWork = this.#msPerWork.get(info.sessionId);
    if (msPerWork === undefined || this.#slowest === undefined || msPerWork <= 0) return info.threads;
    return info.threads * Math.min(2, this.#slowest / msPerWork);
  }
}

function cost(block: PlanBlock): number {
  return block.work + OVERHEAD_WORK;
}
