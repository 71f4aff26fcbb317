// Shows what clients may ask, and that the refusal of anything else names the field and the bound, not the value.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../common/errors.js';
import { parseBatch, parseRecommend, parseSimilar } from '../../coordinator/serving/recommend-request.js';

function refusal(parse: () => unknown): UsageError {
  try {
    parse();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return error as UsageError;
  }
  throw new Error('it was accepted');
}

describe('the limit', () => {
  it('is 10 when it is 0 or absent, and else what was asked up to 1000', () => {
    expect(parseRecommend({ userId: 'u', limit: 0 }).limit).toBe(10);
    expect(parseRecommend({ userId: 'u' }).limit).toBe(10);
    expect(parseRecommend({ userId: 'u', limit: 1 }).limit).toBe(1);
    expect(parseRecommend({ userId: 'u', limit: 1000 }).limit).toBe(1000);
    expect(parseSimilar({ itemId: 'i', limit: 1000 }).limit).toBe(1000);
  });

  it('is refused everywhere else, with the maximum', () => {
    const outside = fc.oneof(
      fc.integer({ max: -1 }),
      fc.integer({ min: 1001 }),
      fc.constantFrom(1e9, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, 1.5, -0.5),
    );
    fc.assert(
      fc.property(outside, (limit) => {
        const error = refusal(() => parseRecommend({ userId: 'u', limit }));
        expect(error.fields['field']).toBe('limit');
        expect(error.message).toContain('1000');
      }),
    );
  });
});

describe('an id', () => {
  it('has 1 to 256 bytes, not characters', () => {
    expect(parseRecommend({ userId: 'x'.repeat(256) }).userId).toHaveLength(256);
    expect(parseRecommend({ userId: '学'.repeat(85) }).userId).toHaveLength(85);
    const error = refusal(() => parseRecommend({ userId: '学'.repeat(86) }));
    expect(error.message).toBe('user_id has 258 bytes; ids have 1 to 256');
  });

  it('is never repeated in the refusal, so that a megabyte of it stays one sentence', () => {
    const error = refusal(() => parseSimilar({ itemId: 'x'.repeat(1 << 20) }));
    expect(error.message).toBe('item_id has 1048576 bytes; ids have 1 to 256');
  });

  it('is not empty', () => {
    expect(refusal(() => parseRecommend({})).message).toContain('user_id is empty');
  });
});

describe('exclusions and batches', () => {
  it('are bounded by number', () => {
    const many = Array.from({ length: 1001 }, (_, at) => `i${at}`);
    expect(parseRecommend({ userId: 'u', excludeItemIds: many.slice(1) }).excludeItemIds).toHaveLength(1000);
    const tooMany = refusal(() => parseRecommend({ userId: 'u', excludeItemIds: many }));
    expect(tooMany.fields['field']).toBe('exclude_item_ids');
    const users = many.map((userId) => ({ userId }));
    expect(parseBatch(users.slice(1))).toHaveLength(1000);
    expect(refusal(() => parseBatch(users)).message).toContain('1 to 1000');
    expect(refusal(() => parseBatch([])).message).toContain('0 entries');
  });

  it('name the entry that is wrong', () => {
    const good = { userId: 'u' };
    expect(refusal(() => parseBatch([good, good, { userId: 'u', limit: -1 }])).fields['field']).toBe(
      'requests[2].limit',
    );
    const long = { userId: 'u', excludeItemIds: ['ok', 'x'.repeat(257)] };
    expect(refusal(() => parseBatch([good, long])).fields['field']).toBe('requests[1].exclude_item_ids[1]');
  });

  it('of a batch ask for at most 100 000 items in all', () => {
    const batch = (limit: number) => Array.from({ length: 1000 }, () => ({ userId: 'u', limit }));
    expect(parseBatch(batch(100))).toHaveLength(1000);
    expect(refusal(() => parseBatch(batch(101))).message).toContain('101000 items');
  });
});
