// An etcd as its contract has it: revisions that only grow, leases that end by its own clock and take their keys with
// them, transactions that compare and put at once.

import type { EtcdCompare, EtcdKey } from '../../../coordinator/leader/etcd-gateway.js';

interface Key extends EtcdKey {
  readonly lease: number;
}

export class SimulatedEtcd {
  readonly #keys = new Map<string, Key>();
  readonly #leases = new Map<number, { ttlMs: number; untilMs: number }>();
  readonly #nowMs: () => number;
  #revision = 1;
  #lastLease = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  grantLease(ttlMs: number): number {
    this.#leases.set(++this.#lastLease, { ttlMs, untilMs: this.#nowMs() + ttlMs });
    return this.#lastLease;
  }

  keepAlive(lease: number): boolean {
    this.#expire();
    const found = this.#leases.get(lease);
    if (found === undefined) return false;
    found.untilMs = this.#nowMs() + found.ttlMs;
    return true;
  }

  revokeLease(lease: number): void {
    this.#leases.delete(lease);
    this.#expire();
  }

  get(key: string): EtcdKey | undefined {
    this.#expire();
    return this.#keys.get(key);
  }

  /** @returns the revision of the write, or undefined when a condition did not hold. */
  putIf(
    conditions: readonly EtcdCompare[],
    put: { key: string; value: string; lease?: number },
  ): number | undefined {
    this.#expire();
    const holds = conditions.every((condition) => {
      const key = this.#keys.get(condition.key);
      return 'createRevision' in condition
        ? (key?.createRevision ?? 0) === condition.createRevision
        : (key?.modRevision ?? 0) === condition.modRevision;
    });
    const { key, value, lease = 0 } = put;
    if (!holds || (lease !== 0 && !this.#leases.has(lease))) return undefined;
    const modRevision = ++this.#revision;
    const createRevision = this.#keys.get(key)?.createRevision ?? modRevision;
    this.#keys.set(key, { value, createRevision, modRevision, lease });
    return modRevision;
  }

  /** Another, empty one takes its place: its revisions begin anew. */
  replace(): void {
    this.#keys.clear();
    this.#leases.clear();
    this.#revision = 1;
  }

  #expire(): void {
    const nowMs = this.#nowMs();
    for (const [id, { untilMs }] of this.#leases) if (untilMs <= nowMs) this.#leases.delete(id);
    for (const [name, { lease }] of this.#keys) {
      if (lease !== 0 && !this.#leases.has(lease)) this.#keys.delete(name);
    }
  }
}
