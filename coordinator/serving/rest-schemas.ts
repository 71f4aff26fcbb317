// What REST takes and gives: the messages of stoa.recommend.v1 with their field names as JSON.

import { z } from 'zod';
import { UsageError } from '../../common/errors.js';
import { suggestion } from '../../common/nearest.js';
import {
  BATCH_MAX,
  EXCLUSIONS_MAX,
  ID_BYTES_MAX,
  LIMIT_DEFAULT,
  LIMIT_MAX,
  type RecommendInput,
  type SimilarInput,
} from './recommend-request.js';
import type { AnswerItem, RecommendAnswer, SimilarAnswer } from './recommender.js';

const userId = z.string().describe(`External id of the user, 1 to ${ID_BYTES_MAX} bytes of UTF-8.`);
const limit = z
  .number()
  .optional()
  .describe(`How many items at most, 1 to ${LIMIT_MAX}; 0 or absent means ${LIMIT_DEFAULT}.`);
const excludeItemIds = z
  .array(z.string())
  .optional()
  .describe(`Items that must not be answered besides the seen ones; at most ${EXCLUSIONS_MAX}.`);
const includeSeen = z.boolean().optional().describe('True answers items the user already took as well.');

export const recommendBody = z.strictObject({
  user_id: userId,
  limit,
  exclude_item_ids: excludeItemIds,
  include_seen: includeSeen,
});
export const batchBody = z.strictObject({
  requests: z.array(recommendBody).describe(`1 to ${BATCH_MAX} requests.`),
});
/** For the page only: a query string holds text, which `parseRecommendQuery` reads. */
export const recommendQuery = z.strictObject({
  limit,
  exclude_item_ids: excludeItemIds,
  include_seen: includeSeen,
});
export const similarQuery = z.strictObject({ limit });

const itemSchema = z.object({
  item_id: z.string(),
  score: z.number().describe('Comparable within one answer only.'),
  title: z.string(),
  category: z.string(),
});
export const recommendResponse = z.object({
  items: z.array(itemSchema),
  reason: z.enum(['REASON_PERSONALIZED', 'REASON_POPULAR']).describe('How the items were found.'),
  model_version: z.string(),
  is_control: z.boolean(),
});
export const batchResponse = z.object({ responses: z.array(recommendResponse) });
export const similarResponse = z.object({ items: z.array(itemSchema), model_version: z.string() });
export const errorResponse = z.object({
  code: z.string().describe('A stable code, e.g. STOA_USAGE.'),
  message: z.string(),
  field: z.string().describe('The field that is wrong; empty when it is none.'),
});

/** @throws {UsageError} `STOA_USAGE`: names the field. */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  if (issue.code === 'unrecognized_keys') throw unknownField(issue.keys[0]!, knownKeys());
  const field = issue.path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('');
  throw refused(field.replace(/^\./, ''), `${field === '' ? 'the body' : field.slice(1)}: ${issue.message}`);
}

export function recommendInput(body: z.infer<typeof recommendBody>): RecommendInput {
  return {
    userId: body.user_id,
    limit: body.limit,
    excludeItemIds: body.exclude_item_ids,
    includeSeen: body.include_seen,
  };
}

/** @throws {UsageError} `STOA_USAGE`: an unknown parameter, or one that is no number or no boolean. */
export function parseRecommendQuery(id: string, query: Record<string, unknown>): RecommendInput {
  refuseUnknown(query, ['limit', 'exclude_item_ids', 'include_seen']);
  const excluded = query['exclude_item_ids'];
  const seen = query['include_seen'];
  if (seen !== undefined && seen !== 'true' && seen !== 'false') {
    throw refused('include_seen', 'include_seen is true or false');
  }
  return {
    userId: id,
    limit: parseNumber(query['limit']),
    excludeItemIds: excluded === undefined ? [] : ([excluded].flat() as string[]),
    includeSeen: seen === 'true',
  };
}

/** @throws {UsageError} as `parseRecommendQuery`. */
export function parseSimilarQuery(id: string, query: Record<string, unknown>): SimilarInput {
  refuseUnknown(query, ['limit']);
  return { itemId: id, limit: parseNumber(query['limit']) };
}

export function recommendJson(answer: RecommendAnswer): z.infer<typeof recommendResponse> {
  return {
    items: answer.items.map(itemJson),
    reason: answer.reason,
    model_version: answer.modelVersion,
    is_control: answer.isControl,
  };
}

export function similarJson(answer: SimilarAnswer): z.infer<typeof similarResponse> {
  return { items: answer.items.map(itemJson), model_version: answer.modelVersion };
}

function itemJson({ itemId, score, title, category }: AnswerItem): z.infer<typeof itemSchema> {
  return { item_id: itemId, score, title, category };
}

function parseNumber(text: unknown): number | undefined {
  if (text === undefined) return undefined;
  if (typeof text === 'string' && /^-?\d{1,15}$/.test(text)) return Number(text);
  throw refused('limit', `limit is no whole number; give 1 to ${LIMIT_MAX}, or 0 for ${LIMIT_DEFAULT}`);
}

function refuseUnknown(query: Record<string, unknown>, known: string[]): void {
  const unknown = Object.keys(query).find((key) => !known.includes(key));
  if (unknown !== undefined) throw unknownField(unknown, known);
}

function unknownField(name: string, known: string[]): UsageError {
  const shown = name.slice(0, 64);
  return refused(shown, `unknown field ${JSON.stringify(shown)}${suggestion(shown, known)}`);
}

function knownKeys(): string[] {
  return [...Object.keys(recommendBody.shape), ...Object.keys(batchBody.shape)];
}

function refused(field: string, message: string): UsageError {
  return new UsageError('STOA_USAGE', message, { fields: { field } });
}
