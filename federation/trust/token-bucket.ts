// A token bucket: so much at once, so much per second in the long run. Time is passed in.

export interface BucketRate {
  /** What flows in, units per second; > 0. */
  perSecond: number;
  /** What the bucket holds: the most that can be taken at once; > 0. */
  burst: number;
}

export interface Bucket {
  /** `<= burst`. Negative after something larger than what was there was taken on credit. */
  level: number;
  /** When `level` was right; never goes back. */
  atMs: number;
}

export function fullBucket({ burst }: BucketRate, nowMs: number): Bucket {
  return { level: burst, atMs: nowMs };
}

/** The bucket at a time; a clock that steps back changes nothing. */
export function refill(bucket: Bucket, rate: BucketRate, nowMs: number): Bucket {
  const elapsedMs = Math.max(0, nowMs - bucket.atMs);
  const level = Math.min(rate.burst, bucket.level + (elapsedMs / 1000) * rate.perSecond);
  return { level, atMs: Math.max(bucket.atMs, nowMs) };
}

/** Milliseconds until the bucket has `amount`, rounded up; 0 when it has. */
export function waitMs(bucket: Bucket, rate: BucketRate, amount: number): number {
  return Math.max(0, Math.ceil(((Math.min(amount, rate.burst) - bucket.level) / rate.perSecond) * 1000));
}
