// A few learners of the demo: what they had taken, and what they are recommended.

import type { RecommendClient } from '../../client/index.js';
import type { LoadedModel } from '../../coordinator/registry/model-folder.js';
import { itemsTable, reasonInWords } from '../answer-source.js';
import type { Output } from '../output.js';
import { cut } from '../text-table.js';

const LEARNERS = 3;
const ITEMS = 4;

/** Histories that say something and still fit a screen. */
const TAKEN_MIN = 4;
const TAKEN_MAX = 6;

const UNKNOWN_LEARNER = 'somebody-new';

/** Learners spread over the model, so that they are not all of one kind. */
export function chooseLearners(model: LoadedModel): string[] {
  const { history, userIds } = model;
  const fitting = userIds.filter((_, row) => {
    const taken = history.ptr[row + 1]! - history.ptr[row]!;
    return taken >= TAKEN_MIN && taken <= TAKEN_MAX;
  });
  const pool = fitting.length >= LEARNERS ? fitting : userIds;
  return Array.from({ length: LEARNERS }, (_, n) => pool[Math.floor(((n + 0.5) * pool.length) / LEARNERS)]!);
}

/** Asks the server for each learner, and for one it does not know. */
export async function showLearners(
  learners: readonly string[],
  model: LoadedModel,
  client: RecommendClient,
  output: Output,
): Promise<object[]> {
  const documents: object[] = [];
  for (const userId of [...learners, UNKNOWN_LEARNER]) {
    const answer = await client.recommend({ userId, limit: ITEMS });
    const taken = takenBy(model, userId);
    output.print('');
    output.print(`${output.bold(userId)}  ${reasonInWords(answer.reason)}`);
    taken.forEach((title, at) => {
      output.print(cut(`  ${at === 0 ? 'had taken' : '         '}  ${title}`, output.width));
    });
    output.print(`  ${'gets'}`);
    output.print(itemsTable(answer.items, output.width, '    '));
    documents.push({
      user_id: userId,
      taken,
      reason: answer.reason,
      items: answer.items.map((item) => ({ item_id: item.itemId, title: item.title, score: item.score })),
    });
  }
  return documents;
}

function takenBy({ history, userIds, itemsTable: items }: LoadedModel, userId: string): string[] {
  const row = userIds.indexOf(userId);
  if (row < 0) return [];
  const rows = history.idx.subarray(history.ptr[row]!, history.ptr[row + 1]!);
  return Array.from(rows, (item) => items.titles?.[item] ?? items.ids[item]!);
}
