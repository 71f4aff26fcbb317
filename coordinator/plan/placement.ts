// Weighted rendezvous hashing: which worker keeps which shard. A join or a leave moves only what it must.

import type { Side } from '../../models/csr.js';

export interface PlacedWorker {
  /** Stable name of the worker; two workers must not share one. */
  readonly key: string;
  /** Relative speed, > 0: a worker of weight 2 gets twice the shards of one of weight 1, on average. */
  readonly weight: number;
}

/**
 * The worker that keeps a shard: the greatest of −weight / ln(h), where h in (0, 1) is a hash of worker and shard.
 * Undefined when there is no worker. Any worker order gives the same answer.
 *
 * Source: Thaler, Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM ToN 6(1), 1998; the
 * weighted form is Schindelhauer, Schomaker, "Weighted distributed hash tables", SPAA 2005 (logarithmic method).
 */
export function placeShard<W extends PlacedWorker>(
  side: Side,
  shard: number,
  workers: Iterable<W>,
  logHash = logHashOf,
): W | undefined {
  let best: W | undefined;
  let bestScore = -1;
  for (const worker of workers) {
    const score = -worker.weight / logHash(side, shard, worker.key);
    if (score > bestScore || (score === bestScore && best !== undefined && worker.key < best.key)) {
      best = worker;
      bestScore = score;
    }
  }
  return best;
}

/** ln(h) of a worker and a shard: a function of nothing else, which whoever places again and again may remember. */
export function logHashOf(side: Side, shard: number, key: string): number {
  return Math.log(unitHash(`${side}/${shard}/${key}`));
}

/** A number in (0, 1) made of 52 hashed bits: two 32-bit FNV-1a hashes, each mixed as in MurmurHash3. */
function unitHash(text: string): number {
  let low = 0x811c9dc5;
  let high = 0x9dc5811c;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x0100019d);
  }
  const bits = (mix(high) >>> 6) * 2 ** 26 + (mix(low) >>> 6);
  return (bits + 0.5) / 2 ** 52;
}

function mix(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
