import type { PlanBlock } from '../plan/plan-blocks.js';
import type { Lease, Phase } from './events.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The leases that live. A block has at most two: the first and its backup, of different sessions. */
export class LeaseTable {
  readonly #byId = new Map<number, Mutable<Lease>>();
  readonly #bySession = new Map<string, Set<Lease>>();
  readonly #byBlock = new Map<number, Lease[]>();
  readonly #runId: string;
  #nextId: number;

  constructor(runId: string, nextId: number) {
    this.#runId = runId;
    this.#nextId = nextId;
  }

  get nextId(): number {
    return this.#nextId;
  }

  get size(): number {
    return this.#byId.size;
  }

  grant(
    phase: Phase,
    block: PlanBlock,
    grant: { sessionId: string; nowMs: number; deadlineMs: number; isBackup: boolean },
  ): Lease {
    const { sessionId, nowMs: grantedMs, deadlineMs, isBackup } = grant;
    const runId = this.#runId;
    const lease = {
      leaseId: this.#nextId++,
      runId,
      sessionId,
      phase,
      block,
      grantedMs,
      deadlineMs,
      isBackup,
    };
    this.#byId.set(lease.leaseId, lease);
    const ofSession = this.#bySession.get(sessionId);
    if (ofSession === undefined) this.#bySession.set(sessionId, new Set([lease]));
    else ofSession.add(lease);
    this.#byBlock.set(block.index, [...this.ofBlock(block.index), lease]);
    return lease;
  }

  get(leaseId: number): Lease | undefined {
    return this.#byId.get(leaseId);
  }

  all(): IterableIterator<Lease> {
    return this.#byId.values();
  }

  /** The one that was granted first of those that will do. */
  oldest(willDo: (lease: Lease) => boolean): Lease | undefined {
    // Ids ascend, and so do the times of the grants.
    for (const lease of this.#byId.values()) if (willDo(lease)) return lease;
    return undefined;
  }

  ofBlock(block: number): readonly Lease[] {
    return this.#byBlock.get(block) ?? [];
  }

  /** In the order of their grants. */
  ofSession(sessionId: string): readonly Lease[] {
    return [...(this.#bySession.get(sessionId) ?? [])];
  }

  countOfSession(sessionId: string): number {
    return this.#bySession.get(sessionId)?.size ?? 0;
  }

  remove(lease: Lease): void {
    this.#byId.delete(lease.leaseId);
    const ofSession = this.#bySession.get(lease.sessionId);
    ofSession?.delete(lease);
    if (ofSession?.size === 0) this.#bySession.delete(lease.sessionId);
    const ofBlock = this.ofBlock(lease.block.index).filter((other) => other !== lease);
    if (ofBlock.length === 0) this.#byBlock.delete(lease.block.index);
    else this.#byBlock.set(lease.block.index, ofBlock);
  }

  removeBlock(block: number): void {
    for (const lease of this.ofBlock(block)) this.remove(lease);
  }

  /** Moves all deadlines, for the time in which the coordinator itself stood still. */
  forgive(gapMs: number): void {
    for (const lease of this.#byId.values()) lease.deadlineMs += gapMs;
  }
}
