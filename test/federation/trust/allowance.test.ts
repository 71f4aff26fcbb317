// What a member may take, against the plainest possible count of what flowed in and out.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StoaError } from '../../../common/errors.js';
import { addressOf, CallerAllowances } from '../../../coordinator/enrolment/caller-allowances.js';
import { Allowance, type MemberLimits } from '../../../federation/trust/allowance.js';
import { fullBucket, refill, waitMs } from '../../../federation/trust/token-bucket.js';

const LIMITS: MemberLimits = {
  calls: { perSecond: 2, burst: 5 },
  bytes: { perSecond: 100, burst: 1000 },
  openCallsMax: 3,
  callMsMax: 10_000,
};

function refusalOf(work: () => void): StoaError | undefined {
  try {
    work();
  } catch (error) {
    return error as StoaError;
  }
}

describe('an allowance', () => {
  it('lets no more calls begin in any window than burst and rate allow, and no fewer when asked steadily', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 900 }), { maxLength: 200 }), (gapsMs) => {
        const allowance = new Allowance('a', LIMITS, 0);
        const begun: number[] = [];
        let nowMs = 0;
        for (const gapMs of gapsMs) {
          nowMs += gapMs;
          if (refusalOf(() => allowance.beginCall(nowMs)) !== undefined) continue;
          begun.push(nowMs);
          allowance.endCall();
        }
        for (let first = 0; first < begun.length; first++) {
          for (let last = first; last < begun.length; last++) {
            const most =
              LIMITS.calls.burst + ((begun[last]! - begun[first]!) / 1000) * LIMITS.calls.perSecond;
            expect(last - first + 1).toBeLessThanOrEqual(most + 1e-9);
          }
        }
        // Half a second apart is the rate itself.
        if (gapsMs.every((gapMs) => gapMs >= 500)) expect(begun.length).toBe(gapsMs.length);
      }),
    );
  });

  it('says when to come back, and is right: not earlier, and then', () => {
    const allowance = new Allowance('uni-a', LIMITS, 0);
    for (let call = 0; call < 5; call++) {
      allowance.beginCall(0);
      allowance.endCall();
    }
    const refusal = refusalOf(() => allowance.beginCall(100));
    expect(refusal?.code).toBe('STOA_BUSY');
    const afterMs = refusal?.fields['retryAfterMs'] as number;
    expect(afterMs).toBe(400);
    expect(refusalOf(() => allowance.beginCall(100 + afterMs - 1))).toBeDefined();
    expect(refusalOf(() => allowance.beginCall(100 + afterMs))).toBeUndefined();
  });

  it('ends the call whose bytes are too many, and lets none begin until they are paid for', () => {
    const allowance = new Allowance('uni-a', LIMITS, 0);
    allowance.beginCall(0);
    allowance.takeBytes(600, 0);
    expect(refusalOf(() => allowance.takeBytes(600, 0))?.code).toBe('STOA_BUSY');
    allowance.endCall();
    expect(refusalOf(() => allowance.beginCall(1999))?.message).toContain('uni-a');
    expect(refusalOf(() => allowance.beginCall(2000))).toBeUndefined();
  });

  it('bounds calls that are open at once, and a refused call takes nothing', () => {
    const allowance = new Allowance('uni-a', LIMITS, 0);
    for (let call = 0; call < 3; call++) allowance.beginCall(0);
    for (let call = 0; call < 10; call++) expect(refusalOf(() => allowance.beginCall(0))).toBeDefined();
    allowance.endCall();
    expect(refusalOf(() => allowance.beginCall(0))).toBeUndefined();
  });

  it('is not moved by a clock that steps back', () => {
    const allowance = new Allowance('uni-a', LIMITS, 100_000);
    for (let call = 0; call < 5; call++) {
      allowance.beginCall(100_000);
      allowance.endCall();
    }
    expect(refusalOf(() => allowance.beginCall(0))).toBeDefined();
    // Stepping back and forth again fills nothing twice.
    expect(refusalOf(() => allowance.beginCall(100_000))).toBeDefined();
    expect(refusalOf(() => allowance.beginCall(100_500))).toBeUndefined();
  });

  it('can be forgotten when nothing is open and both buckets are full', () => {
    const allowance = new Allowance('uni-a', LIMITS, 0);
    expect(allowance.isIdle(0)).toBe(true);
    allowance.beginCall(0);
    expect(allowance.isIdle(60_000)).toBe(false);
    allowance.endCall();
    expect(allowance.isIdle(499)).toBe(false);
    expect(allowance.isIdle(500)).toBe(true);
  });
});

describe('a token bucket', () => {
  it('never holds more than its burst, and waits as long as it takes to fill', () => {
    const rate = { perSecond: 3, burst: 7 };
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5000), fc.nat(10)), { maxLength: 100 }), (steps) => {
        let bucket = fullBucket(rate, 0);
        let nowMs = 0;
        for (const [gapMs, amount] of steps) {
          nowMs += gapMs;
          bucket = refill(bucket, rate, nowMs);
          expect(bucket.level).toBeLessThanOrEqual(rate.burst);
          const later = waitMs(bucket, rate, amount);
          const filled = refill(bucket, rate, nowMs + later).level;
          expect(filled).toBeGreaterThanOrEqual(Math.min(amount, rate.burst) - 1e-9);
          if (later === 0) bucket.level -= Math.min(amount, rate.burst);
        }
      }),
    );
  });
});

describe('callers without a certificate', () => {
  it('are told apart by IPv4 address, and by the network of an IPv6 address', () => {
    expect(addressOf('10.0.0.1:5000')).toBe('10.0.0.1');
    expect(addressOf('::ffff:10.0.0.1:5000')).toBe('10.0.0.1');
    const network = addressOf('2001:db8:0:7:1:2:3:4:5000');
    expect(network).toBe('2001:db8:0:7::/64');
    expect(addressOf('[2001:db8:0:7::9]:80')).toBe(network);
    expect(addressOf('2001:0DB8::7:ffff:2:3:4:80')).toBe(network);
    expect(addressOf('2001:db8:0:8::9:80')).not.toBe(network);
    expect(addressOf('::1:80')).toBe('0:0:0:0::/64');
  });

  it('of more addresses than are kept share what they may, and members keep theirs', () => {
    const allowances = new CallerAllowances({ limits: LIMITS, strangerLimits: LIMITS });
    for (let address = 0; address < 10_000; address++) {
      allowances.ofAddress(`10.0.${address >> 8}.${address & 255}:1`, 0).beginCall(0);
    }
    const one = allowances.ofAddress('11.0.0.1:1', 0);
    expect(allowances.ofAddress('11.0.0.2:1', 0)).toBe(one);
    for (let call = 0; call < 3; call++) one.beginCall(0);
    expect(refusalOf(() => allowances.ofAddress('11.0.0.3:1', 0).beginCall(0))?.code).toBe('STOA_BUSY');
    expect(refusalOf(() => allowances.ofMember('uni-a', 0).beginCall(0))).toBeUndefined();
  });

  it('are forgotten when they have been idle, so that others get a place', () => {
    const allowances = new CallerAllowances({ strangerLimits: LIMITS });
    for (let address = 0; address < 10_000; address++) {
      const allowance = allowances.ofAddress(`10.0.${address >> 8}.${address & 255}:1`, 0);
      allowance.beginCall(0);
      allowance.endCall();
    }
    const late = allowances.ofAddress('11.0.0.1:1', 60_000);
    expect(allowances.ofAddress('11.0.0.2:1', 60_000)).not.toBe(late);
    expect(allowances.ofAddress('11.0.0.1:9', 60_000)).toBe(late);
  });
});
