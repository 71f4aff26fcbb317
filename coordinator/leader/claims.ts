// What etcd is asked for by who wants to lead: the conditions of two transactions.

import type { EtcdCompare, EtcdKey } from './etcd-gateway.js';

/** The leader's key is put, under a lease, while nobody has it. */
export function leaderClaim(leaderKey: string): EtcdCompare[] {
  return [{ key: leaderKey, createRevision: 0 }];
}

export interface TermClaim {
  /** One greater than every term before. */
  readonly term: number;
  /** While the leader's key is still the claimant's own, and nobody was granted a term since the last was read. */
  readonly conditions: EtcdCompare[];
}

/**
 * @param token revision at which the claimant put the leader's key.
 * @param last  the key of the last term, as it was read; undefined: there is none.
 * @param begun the greatest term in the state folder: etcd may have been replaced since.
 */
export function termClaim(
  keys: { leader: string; term: string },
  token: number,
  last: EtcdKey | undefined,
  begun: number,
): TermClaim {
  const term = Math.max(Number(last?.value ?? 0), begun) + 1;
  const conditions = [
    { key: keys.leader, createRevision: token },
    { key: keys.term, modRevision: last?.modRevision ?? 0 },
  ];
  return { term, conditions };
}
