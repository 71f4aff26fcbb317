// What clients may ask, checked once at the edge for gRPC and REST alike. Pure.

import { UsageError } from '../../common/errors.js';

export const LIMIT_DEFAULT = 10;
/** Nobody reads more; it bounds the work and the answer of one request. */
export const LIMIT_MAX = 1000;
/** Bytes of UTF-8. Longer "ids" are mistakes or attacks. */
export const ID_BYTES_MAX = 256;
export const EXCLUSIONS_MAX = 1000;
export const BATCH_MAX = 1000;
/** Items over all answers of one batch: some 10 MB on the wire. */
export const BATCH_ITEMS_MAX = 100_000;

/** As it arrives: fields as in the proto, absent ones undefined or zero. */
export interface RecommendInput {
  userId?: string;
  limit?: number;
  excludeItemIds?: readonly string[];
  includeSeen?: boolean;
}

export interface RecommendQuery {
  userId: string;
  /** 1 to LIMIT_MAX. */
  limit: number;
  excludeItemIds: readonly string[];
  includeSeen: boolean;
}

export interface SimilarInput {
  itemId?: string;
  limit?: number;
}

export interface SimilarQuery {
  itemId: string;
  /** 1 to LIMIT_MAX. */
  limit: number;
}

/**
 * @param path prefix of the fields in messages, e.g. "requests[3].".
 * @throws {UsageError} `STOA_USAGE`: names the field and what it may be; the value of an id is never repeated.
 */
export function parseRecommend(input: RecommendInput, path = ''): RecommendQuery {
  const excludeItemIds = input.excludeItemIds ?? [];
  const field = `${path}exclude_item_ids`;
  if (excludeItemIds.length > EXCLUSIONS_MAX) {
    throw refused(field, `has ${excludeItemIds.length} ids, at most ${EXCLUSIONS_MAX} are allowed`);
  }
  excludeItemIds.forEach((id, at) => {
    requireId(id, `${field}[${at}]`);
  });
  return {
    userId: requireId(input.userId ?? '', `${path}user_id`),
    limit: parseLimit(input.limit ?? 0, `${path}limit`),
    excludeItemIds,
    includeSeen: input.includeSeen ?? false,
  };
}

/** @throws {UsageError} as `parseRecommend`, naming the entry; or the batch is empty or too large. */
export function parseBatch(inputs: readonly RecommendInput[]): RecommendQuery[] {
  if (inputs.length === 0 || inputs.length > BATCH_MAX) {
    throw refused('requests', `has ${inputs.length} entries, 1 to ${BATCH_MAX} are allowed`);
  }
  const queries = inputs.map((input, at) => parseRecommend(input, `requests[${at}].`));
  const items = queries.reduce((sum, { limit }) => sum + limit, 0);
  if (items > BATCH_ITEMS_MAX) {
    throw refused(
      'requests',
      `asks for ${items} items in all, at most ${BATCH_ITEMS_MAX} are answered; split the batch`,
    );
  }
  return queries;
}

/** @throws {UsageError} as `parseRecommend`. */
export function parseSimilar(input: SimilarInput): SimilarQuery {
  return { itemId: requireId(input.itemId ?? '', 'item_id'), limit: parseLimit(input.limit ?? 0, 'limit') };
}

function parseLimit(limit: number, field: string): number {
  if (Number.isInteger(limit) && limit >= 0 && limit <= LIMIT_MAX) return limit === 0 ? LIMIT_DEFAULT : limit;
  throw refused(field, `is ${limit}; give 1 to ${LIMIT_MAX} (the maximum), or 0 for ${LIMIT_DEFAULT}`);
}

function requireId(id: string, field: string): string {
  const bytes = Buffer.byteLength(id);
  if (bytes >= 1 && bytes <= ID_BYTES_MAX) return id;
  throw refused(
    field,
    bytes === 0 ? 'is empty; give an id' : `has ${bytes} bytes; ids have 1 to ${ID_BYTES_MAX}`,
  );
}

function refused(field: string, what: string): UsageError {
  return new UsageError('STOA_USAGE', `${field} ${what}`, { fields: { field } });
}
