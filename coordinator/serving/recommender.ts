// Who gets which items, and why. Rules only: the ranking itself is done by the function given. Pure.

import { assert, NotFoundError } from '../../common/errors.js';
import { topN } from '../../models/rank/top-n.js';
import type { LoadedModel } from '../registry/model-folder.js';
import type { RecommendQuery, SimilarQuery } from './recommend-request.js';
import { prepareModel, type ServingModel } from './serving-model.js';

/** One query against a table of items. */
export interface RankQuery {
  /** f32, [K]. */
  vector: Float32Array;
  /** f32, row-major, [itemCount, K], over a SharedArrayBuffer. */
  items: Float32Array;
  itemCount: number;
  factors: number;
  /** How many rows at most, 1 to itemCount. */
  n: number;
  /** Rows that must not be answered, strictly increasing. */
  exclude: Int32Array;
}

/** Best first, equal scores by lower row; fewer than n where the rest is excluded. */
export interface Ranking {
  rows: Int32Array;
  scores: Float32Array;
}

export type Rank = (query: RankQuery) => Ranking | Promise<Ranking>;

export type RecommendReason = 'REASON_PERSONALIZED' | 'REASON_POPULAR';

export interface AnswerItem {
  itemId: string;
  score: number;
  /** Empty when the items file had none. */
  title: string;
  category: string;
}

export interface RecommendAnswer {
  items: AnswerItem[];
  reason: RecommendReason;
  modelVersion: string;
  isControl: boolean;
}

export interface SimilarAnswer {
  items: AnswerItem[];
  modelVersion: string;
}

/** Answers from one model, which never changes: requests in flight outlive the promotion of another. */
export class Recommender {
  readonly #serving: ServingModel;
  readonly #rank: Rank;

  /** @param rank @default ranks on the calling thread: for the command line, not for servers. */
  constructor(model: LoadedModel, rank: Rank = rankHere) {
    this.#serving = prepareModel(model);
    this.#rank = rank;
  }

  get model(): LoadedModel {
    return this.#serving.model;
  }

  /**
   * Personal ranking without the items already taken; the most popular items for a user who is unknown or took
   * nothing, since such a user's factors say nothing.
   */
  async recommend(query: RecommendQuery): Promise<RecommendAnswer> {
    const { model, userRows, itemRows } = this.#serving;
    const userRow = userRows.get(query.userId);
    const seen = userRow === undefined ? new Int32Array(0) : rowOf(model, userRow);
    const excluded = query.excludeItemIds.map((id) => itemRows.get(id)).filter((row) => row !== undefined);
    const exclude = union(query.includeSeen ? new Int32Array(0) : seen, excluded);
    const isPersonal = userRow !== undefined && seen.length > 0;
    const ranking = isPersonal
      ? await this.#rank({
          vector: model.userFactors.subarray(userRow * model.factors, (userRow + 1) * model.factors),
          items: model.itemFactors,
          itemCount: model.items,
          factors: model.factors,
          n: Math.min(query.limit, model.items),
          exclude,
        })
      : this.#popular(query.limit, exclude);
    return {
      items: this.#answer(ranking),
      reason: isPersonal ? 'REASON_PERSONALIZED' : 'REASON_POPULAR',
      modelVersion: model.version,
      isControl: false,
    };
  }

  /** Nearest items by cosine. @throws {NotFoundError} `STOA_NOT_FOUND_ITEM`. */
  async similarItems(query: SimilarQuery): Promise<SimilarAnswer> {
    const { model, itemRows, itemDirections } = this.#serving;
    const row = itemRows.get(query.itemId);
    if (row === undefined) {
      throw new NotFoundError(
        'STOA_NOT_FOUND_ITEM',
        `model ${model.version} has no item ${JSON.stringify(query.itemId)}; it knows the items of its training data`,
        { fields: { field: 'item_id' } },
      );
    }
    const vector = itemDirections.subarray(row * model.factors, (row + 1) * model.factors);
    // An item that nobody took has no direction, hence nothing near it.
    const ranking = vector.every((value) => value === 0)
      ? { rows: new Int32Array(0), scores: new Float32Array(0) }
      : await this.#rank({
          vector,
          items: itemDirections,
          itemCount: model.items,
          factors: model.factors,
          n: Math.min(query.limit, model.items),
          exclude: Int32Array.of(row),
        });
    const items = this.#answer(ranking);
    // Rounding may carry the cosine of parallel rows past 1.
    for (const item of items) item.score = Math.min(1, Math.max(-1, item.score));
    return { items, modelVersion: model.version };
  }

  #popular(limit: number, exclude: Int32Array): Ranking {
    const { model, popularRows } = this.#serving;
    const excluded = new Set(exclude);
    const rows: number[] = [];
    for (const row of popularRows) {
      if (rows.length === limit) break;
      if (!excluded.has(row)) rows.push(row);
    }
    return { rows: Int32Array.from(rows), scores: Float32Array.from(rows, (row) => model.itemCounts[row]!) };
  }

  #answer({ rows, scores }: Ranking): AnswerItem[] {
    const { ids, titles, categories } = this.#serving.model.itemsTable;
    return Array.from(rows, (row, at) => ({
      itemId: ids[row]!,
      score: scores[at]!,
      title: titles?.[row] ?? '',
      category: categories?.[row] ?? '',
    }));
  }
}

/** Ranks on the calling thread. */
export function rankHere({ vector, items, itemCount, factors, n, exclude }: RankQuery): Ranking {
  const { ids, scores } = topN({
    queries: vector,
    count: 1,
    items,
    itemCount,
    factors,
    n,
    exclude: { rows: 1, cols: itemCount, ptr: Int32Array.of(0, exclude.length), idx: exclude },
  });
  return rankingOf(ids, scores, 0, n);
}

/** One query's part of a result of `topN`, without the filling at its end. */
export function rankingOf(ids: Int32Array, scores: Float32Array, start: number, n: number): Ranking {
  assert(start + n <= ids.length, 'a result for every query');
  let end = start;
  while (end < start + n && ids[end]! >= 0) end++;
  return { rows: ids.slice(start, end), scores: scores.slice(start, end) };
}

function rowOf({ history }: LoadedModel, row: number): Int32Array {
  return history.idx.subarray(history.ptr[row]!, history.ptr[row + 1]!);
}

/** Strictly increasing rows of both. */
function union(sorted: Int32Array, others: readonly number[]): Int32Array {
  if (others.length === 0) return sorted;
  return Int32Array.from(new Set([...sorted, ...others])).sort();
}
