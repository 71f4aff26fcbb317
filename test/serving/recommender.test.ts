// Shows who is answered what, against a ranking done the plainest way: score everything in float64, sort, filter.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NotFoundError } from '../../common/errors.js';
import type { LoadedModel, ModelContents } from '../../coordinator/registry/model-folder.js';
import type { ModelManifest } from '../../coordinator/registry/model-manifest.js';
import { Recommender } from '../../coordinator/serving/recommender.js';
import { smallModel } from '../support/small-model.js';

function loaded(contents: ModelContents): LoadedModel {
  const items = contents.items.ids.length;
  const { userIds, userFactors, itemFactors, history, version, synthetic } = contents;
  return {
    dir: '/nowhere',
    manifest: {} as ModelManifest,
    version,
    users: userIds.length,
    items,
    factors: contents.config['ials.factors'],
    userIds,
    itemsTable: contents.items,
    userFactors,
    itemFactors,
    history,
    itemCounts: Int32Array.from({ length: items }, (_, item) => history.idx.filter((i) => i === item).length),
    synthetic,
  };
}

function seenBy({ history }: ModelContents, row: number): number[] {
  return [...history.idx.subarray(history.ptr[row]!, history.ptr[row + 1]!)];
}

/** Inner products in float64, rounded to the f32 that answers carry; ties by row. */
function rankAll(
  table: Float32Array,
  vector: Float32Array,
  without: number[],
): { row: number; score: number }[] {
  const factors = vector.length;
  return Array.from({ length: table.length / factors }, (_, row) => {
    let score = 0;
    for (let f = 0; f < factors; f++) score += table[row * factors + f]! * vector[f]!;
    return { row, score: Math.fround(score) };
  })
    .filter(({ row }) => !without.includes(row))
    .sort((a, b) => b.score - a.score || a.row - b.row);
}

const contents = smallModel({ users: 50, items: 43, factors: 9, emptyRows: [3, 17] });
const recommender = new Recommender(loaded(contents));
const query = { limit: 10, excludeItemIds: [], includeSeen: false };
const idsOf = ({ items }: { items: { itemId: string }[] }) => items.map(({ itemId }) => itemId);

describe('a user with a history', () => {
  it('gets the best items of all, without those taken, whatever the limit and exclusions', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 49 }).filter((row) => seenBy(contents, row).length > 0),
        fc.integer({ min: 1, max: 60 }),
        fc.uniqueArray(fc.integer({ min: 0, max: 42 }), { maxLength: 43 }),
        fc.boolean(),
        async (row, limit, excluded, includeSeen) => {
          const vector = contents.userFactors.slice(row * 9, (row + 1) * 9);
          const without = includeSeen ? excluded : [...excluded, ...seenBy(contents, row)];
          const expected = rankAll(contents.itemFactors, vector, without).slice(0, limit);
          const answer = await recommender.recommend({
            userId: contents.userIds[row]!,
            limit,
            excludeItemIds: excluded.map((item) => contents.items.ids[item]!),
            includeSeen,
          });
          expect(answer.reason).toBe('REASON_PERSONALIZED');
          expect(answer.items).toEqual(
            expected.map((entry) => ({
              itemId: contents.items.ids[entry.row],
              score: entry.score,
              title: contents.items.titles![entry.row] ?? '',
              category: contents.items.categories![entry.row] ?? '',
            })),
          );
        },
      ),
    );
  });

  it('gets an answer that names the model and is no control', async () => {
    const answer = await recommender.recommend({ ...query, userId: '007' });
    expect([answer.modelVersion, answer.isControl]).toEqual(['v1', false]);
  });

  it('loses nothing by exclusions that the model does not know', async () => {
    const plain = await recommender.recommend({ ...query, userId: '007' });
    const excluding = await recommender.recommend({
      ...query,
      userId: '007',
      excludeItemIds: ['no such item'],
    });
    expect(excluding).toEqual(plain);
  });

  it('gets equal scores in the order of item rows', async () => {
    const same = smallModel({ users: 5, items: 20, factors: 3 });
    for (let row = 1; row < 20; row++) same.itemFactors.copyWithin(row * 3, 0, 3);
    const answer = await new Recommender(loaded(same)).recommend({
      ...query,
      userId: '007',
      includeSeen: true,
    });
    expect(idsOf(answer)).toEqual(same.items.ids.slice(0, 10));
  });
});

describe('a user without a history', () => {
  const popular = contents.items.ids
    .map((id, row) => ({ id, count: contents.history.idx.filter((item) => item === row).length }))
    .sort((a, b) => b.count - a.count);

  it.each([
    ['who is unknown', 'nobody we know'],
    ['who is known', contents.userIds[3]!],
  ])('%s gets the most taken items, and the answer says so', async (_, userId) => {
    const answer = await recommender.recommend({ ...query, userId, limit: 12 });
    expect(answer.reason).toBe('REASON_POPULAR');
    expect(idsOf(answer)).toEqual(popular.slice(0, 12).map(({ id }) => id));
    expect(answer.items.map(({ score }) => score)).toEqual(popular.slice(0, 12).map(({ count }) => count));
  });

  it('gets all items but the excluded ones when the limit is beyond the catalogue', async () => {
    const excludeItemIds = popular.slice(0, 2).map(({ id }) => id);
    const answer = await recommender.recommend({ ...query, userId: 'new', limit: 1000, excludeItemIds });
    expect(idsOf(answer)).toEqual(popular.slice(2).map(({ id }) => id));
  });
});

describe('similar items', () => {
  it('are the nearest by cosine, without the item itself', async () => {
    for (const row of [0, 7, 42]) {
      const itemId = contents.items.ids[row]!;
      const { items } = await recommender.similarItems({ itemId, limit: 42 });
      const length = (at: number) => Math.hypot(...contents.itemFactors.subarray(at * 9, (at + 1) * 9));
      const cosines = rankAll(contents.itemFactors, contents.itemFactors.slice(row * 9, (row + 1) * 9), [row])
        .map((entry) => ({ ...entry, cosine: entry.score / length(row) / length(entry.row) }))
        .sort((a, b) => b.cosine - a.cosine);
      expect(items.map((item) => item.itemId)).toEqual(cosines.map((entry) => contents.items.ids[entry.row]));
      items.forEach(({ score }, at) => {
        expect(score).toBeCloseTo(cosines[at]!.cosine, 5);
      });
    }
  });

  it('have a cosine of at most 1, also when they point the very same way', async () => {
    const same = smallModel({ users: 5, items: 30, factors: 4 });
    for (let row = 1; row < 30; row++) {
      for (let f = 0; f < 4; f++) same.itemFactors[row * 4 + f] = same.itemFactors[f]! * row;
    }
    const { items } = await new Recommender(loaded(same)).similarItems({ itemId: '007', limit: 29 });
    expect(items.every(({ score }) => score <= 1 && score > 0.999999)).toBe(true);
  });

  it('are none for an item without factors', async () => {
    const none = smallModel({ users: 5, items: 6, factors: 3 });
    none.itemFactors.fill(0, 0, 3);
    expect((await new Recommender(loaded(none)).similarItems({ itemId: '007', limit: 5 })).items).toEqual([]);
  });

  it('of an unknown item are an error that names it', async () => {
    const error: unknown = await recommender
      .similarItems({ itemId: 'x"y', limit: 5 })
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(NotFoundError);
    expect((error as Error).message).toContain('"x\\"y"');
  });
});
