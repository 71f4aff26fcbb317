// Where recommendations come from: a model folder that is read here, or a server that is asked.

import type { Command } from 'commander';
import { parseAddress } from '../common/addresses.js';
import { UsageError } from '../common/errors.js';
import type { RecommendInput, SimilarInput } from '../coordinator/serving/recommend-request.js';
import type { DeviceFacts } from '../models/device-facts.js';
import { portableFacts } from './portable-facts.js';
import { textTable } from './text-table.js';
import { addClientTlsFlags, type TlsFlags, tlsOf } from './tls-flags.js';

export interface SourceFlags extends TlsFlags {
  model?: string;
  server?: string;
}

export interface SourceItem {
  itemId: string;
  score: number;
  title: string;
  category: string;
}

export interface AnswerSource {
  recommend(input: RecommendInput): Promise<{
    items: SourceItem[];
    reason: string;
    modelVersion: string;
    isControl: boolean;
  }>;
  similar(input: SimilarInput): Promise<{ items: SourceItem[]; modelVersion: string }>;
  /** Known for a model folder; a server does not say. */
  isSynthetic?: boolean;
  /** What ranks; null: a server does not say. */
  device: DeviceFacts | null;
  close(): void;
}

export function addSourceFlags(command: Command): void {
  command
    .option('--model <model>', 'model or run folder to answer from')
    .option('--server <host:port>', 'ask a server: "stoa serve" or a coordinator');
  addClientTlsFlags(command);
}

/** @throws {UsageError} neither or both of --model and --server. */
export async function openSource(flags: SourceFlags): Promise<AnswerSource> {
  if ((flags.model === undefined) === (flags.server === undefined)) {
    throw new UsageError('STOA_USAGE', 'give either --model FOLDER or --server HOST:PORT', {
      fields: { field: '--model' },
    });
  }
  return flags.model === undefined ? askServer(flags.server!, flags) : readModel(flags.model);
}

async function readModel(dir: string): Promise<AnswerSource> {
  const { openModel } = await import('../coordinator/registry/model-folder.js');
  const { parseRecommend, parseSimilar } = await import('../coordinator/serving/recommend-request.js');
  const { Recommender } = await import('../coordinator/serving/recommender.js');
  const model = await openModel(dir);
  const recommender = new Recommender(model);
  return {
    recommend: async (input) => recommender.recommend(parseRecommend(input)),
    similar: async (input) => recommender.similarItems(parseSimilar(input)),
    isSynthetic: model.synthetic,
    device: portableFacts(1),
    close: () => {},
  };
}

async function askServer(server: string, flags: TlsFlags): Promise<AnswerSource> {
  const address = parseAddress(server, '--server');
  const { RecommendClient } = await import('../client/index.js');
  const client = new RecommendClient({ address, ...tlsOf(flags) });
  return {
    recommend: ({ excludeItemIds, ...input }) =>
      client.recommend({ ...input, excludeItemIds: [...(excludeItemIds ?? [])] }),
    similar: (input) => client.similarItems(input),
    device: null,
    close: () => client.close(),
  };
}

/** Items as programs read them. */
export function itemDocuments(items: readonly SourceItem[]): object[] {
  return items.map(({ itemId, score, title, category }) => ({ item_id: itemId, score, title, category }));
}

/** Items as people read them: rank, id, title, category, score. Titles and categories only where there are some. */
export function itemsTable(items: readonly SourceItem[], width: number, indent = ''): string {
  const hasTitles = items.some(({ title }) => title !== '');
  const hasCategories = items.some(({ category }) => category !== '');
  const rows = items.map((item, at) => [
    String(at + 1),
    item.score.toPrecision(4),
    item.itemId,
    ...(hasTitles ? [item.title] : []),
    ...(hasCategories ? [item.category] : []),
  ]);
  return textTable(rows, { width, indent });
}

/** `REASON_POPULAR` as words. */
export function reasonInWords(reason: string): string {
  const words: Readonly<Record<string, string>> = {
    REASON_PERSONALIZED: 'by what this user took',
    REASON_POPULAR: 'popular items: the user is unknown or took nothing yet',
  };
  return words[reason] ?? reason.replace('REASON_', '').toLowerCase().replaceAll('_', ' ');
}
