import type { PlanBlock } from '../plan/plan-blocks.js';
import type { Lease, SessionInfo } from './events.js';

/** What a block costs besides its flops (messages, copies), as flops: about 1 ms of the portable device. */
const OVERHEAD_WORK = 1e6;
/** Weight of the newest block in the moving averages. */
const NEWEST = 0.3;
/** Work a millisecond of one thread of the portable device, where nothing was measured: 2 GFLOP/s. */
const NOMINAL_RATE = 2e6;
/** A clock of milliseconds cannot tell less. */
const MS_MIN = 0.1;

/** What a session did of late: both sums fade. Their ratio is its throughput while it was busy. */
interface Throughput {
  nominal: number;
  work: number;
  ms: number;
  lastMs: number;
}

/**
 * How fast sessions are. For deadlines: how long a block takes from grant to result, a moving average of milliseconds
 * a unit of work; waiting behind the session's other leases counts, so that it tells what to expect of the next lease.
 * For shares: how much work a session gets done in a millisecond, all its threads together.
 */
export class Pace {
  readonly #msPerWork = new Map<string, number>();
  readonly #throughput = new Map<string, Throughput>();
  #slowest: number | undefined;
  /** What those that were measured do of what they say; undefined when that changed since it was last asked for. */
  #toNominal: number | undefined;

  observe(lease: Lease, info: SessionInfo, nowMs: number): void {
    this.#observeThroughput(lease, info, nowMs);
    const measured = (nowMs - lease.grantedMs) / costOf(lease.block);
    const before = this.#msPerWork.get(lease.sessionId);
    this.#msPerWork.set(
      lease.sessionId,
      before === undefined ? measured : before + NEWEST * (measured - before),
    );
    this.#slowest = Math.max(...this.#msPerWork.values());
  }

  #observeThroughput({ block, grantedMs, sessionId }: Lease, info: SessionInfo, nowMs: number): void {
    const before = this.#throughput.get(sessionId);
    // Idle time is not the session's: between two results it was busy at most since the later one was lent.
    const busyMs = Math.max(MS_MIN, nowMs - Math.max(grantedMs, before?.lastMs ?? 0));
    const keep = 1 - NEWEST;
    this.#toNominal = undefined;
    this.#throughput.set(sessionId, {
      nominal: nominalRate(info),
      work: keep * (before?.work ?? 0) + costOf(block),
      ms: keep * (before?.ms ?? 0) + busyMs,
      lastMs: nowMs,
    });
  }

  forget(sessionId: string): void {
    this.#toNominal = undefined;
    this.#throughput.delete(sessionId);
    if (!this.#msPerWork.delete(sessionId)) return;
    this.#slowest = this.#msPerWork.size === 0 ? undefined : Math.max(...this.#msPerWork.values());
  }

  /** Milliseconds that a block may take at the session, or at the slowest one where it has not been timed. */
  expectedMs(block: PlanBlock, sessionId: string): number | undefined {
    const msPerWork = this.#msPerWork.get(sessionId) ?? this.#slowest;
    return msPerWork === undefined ? undefined : msPerWork * costOf(block);
  }

  /** Flops a second of late, or 0 where nothing was measured. */
  flopsPerSecond(sessionId: string): number {
    const own = this.#throughput.get(sessionId);
    return own === undefined ? 0 : (1000 * own.work) / own.ms;
  }

  /**
   * Work a millisecond: measured on blocks of this run; before that what the worker says of its device, else by its
   * threads, in proportion to what those that were measured turned out to do.
   */
  rateOf(info: SessionInfo): number {
    const own = this.#throughput.get(info.sessionId);
    if (own !== undefined) return own.work / own.ms;
    this.#toNominal ??= this.#ratioToNominal();
    return nominalRate(info) * this.#toNominal;
  }

  #ratioToNominal(): number {
    let measured = 0;
    let nominal = 0;
    for (const other of this.#throughput.values()) {
      measured += other.work / other.ms;
      nominal += other.nominal;
    }
    return nominal > 0 ? measured / nominal : 1;
  }
}

/** What a block costs a worker, its overhead included. */
export function costOf(block: PlanBlock): number {
  return block.work + OVERHEAD_WORK;
}

/** What `n` blocks cost that are `work` together. */
export function costOfAll(n: number, work: number): number {
  return work + n * OVERHEAD_WORK;
}

function nominalRate({ threads, gflops }: SessionInfo): number {
  return gflops > 0 ? gflops * 1e6 : threads * NOMINAL_RATE;
}
