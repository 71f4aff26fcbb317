// Ranks the whole catalogue for users and sums up how good the rankings are. Runs in a thread.

import { scoreByNeighbours } from '../../models/baselines/item-knn.js';
import { rankPopular } from '../../models/baselines/popular.js';
import { scoreByWeights } from '../../models/baselines/score-by-weights.js';
import { selectTop } from '../../models/baselines/select-top.js';
import type { Csr } from '../../models/csr.js';
import { NEVER_SHOWN, noteRanks } from '../../models/metrics/catalogue-metrics.js';
import { addRankingMetrics, RANKING_METRICS } from '../../models/metrics/ranking-metrics.js';
import { rankByFactors } from './rank-by-factors.js';
import type { Scorer } from './scorer.js';

export interface RankUsersTask {
  scorer: Scorer;
  /** The rows of all evaluated users, ascending. */
  users: Int32Array;
  /** The user at position p belongs to group p mod `groups`; this task takes groupStart (in) to groupEnd (out). */
  groups: number;
  groupStart: number;
  groupEnd: number;
  /** What each user took; never recommended again, and what the baselines score from. */
  history: Csr;
  test: Csr;
  cutoffs: number[];
  /** Bits of surprise of each item. */
  novelty: Float64Array;
}

export interface RankUsersResult {
  groupStart: number;
  /** [groups of the task, metrics × cutoffs]: sums over the users of a group, in the order of their rows. */
  sums: Float64Array;
  /** Best place of each item in these users' rankings. */
  bestRanks: Int32Array;
  users: number;
}

/** Users ranked at once: enough for the item factors to be read from cache, few enough for little memory. */
const BATCH_USERS = 64;

export function rankUsers(task: RankUsersTask): RankUsersResult {
  const { groups, groupStart, groupEnd, cutoffs, test } = task;
  const columns = cutoffs.length * RANKING_METRICS.length;
  const sums = new Float64Array((groupEnd - groupStart) * columns);
  const bestRanks = new Int32Array(test.cols).fill(NEVER_SHOWN);
  const positions = positionsOf(task);
  const width = cutoffs.at(-1)!;
  const rankings = new Int32Array(BATCH_USERS * width);
  for (let start = 0; start < positions.length; start += BATCH_USERS) {
    const batch = positions.subarray(start, start + BATCH_USERS);
    const users = batch.map((position) => task.users[position]!);
    rankBatch(task.scorer, users, task.history, width, rankings);
    for (let b = 0; b < batch.length; b++) {
      const ranking = rankings.subarray(b * width, (b + 1) * width);
      const relevant = rowOf(test, users[b]!);
      const at = ((batch[b]! % groups) - groupStart) * columns;
      addRankingMetrics({ ranking, relevant, cutoffs, novelty: task.novelty }, sums, at);
      noteRanks(ranking, bestRanks);
    }
  }
  return { groupStart, sums, bestRanks, users: positions.length };
}

/** Positions of the task's users in `task.users`, group by group, ascending within each. */
function positionsOf({ users, groups, groupStart, groupEnd }: RankUsersTask): Int32Array {
  const positions: number[] = [];
  for (let group = groupStart; group < groupEnd; group++) {
    for (let position = group; position < users.length; position += groups) positions.push(position);
  }
  return Int32Array.from(positions);
}

/** Writes the rankings of some users, [users, width], each ending at the first −1. */
function rankBatch(
  scorer: Scorer,
  users: Int32Array,
  history: Csr,
  width: number,
  rankings: Int32Array,
): void {
  if (scorer.kind === 'factors') {
    rankByFactors(scorer, users, history, width, rankings);
    return;
  }
  const isMasked = new Uint8Array(history.cols);
  const scores = new Float64Array(history.cols);
  for (let b = 0; b < users.length; b++) {
    const taken = rowOf(history, users[b]!);
    const ranking = rankings.subarray(b * width, (b + 1) * width);
    if (scorer.kind === 'popular') {
      for (const item of taken) isMasked[item] = 1;
      rankPopular(scorer.order, isMasked, ranking);
      for (const item of taken) isMasked[item] = 0;
      continue;
    }
    if (scorer.kind === 'weights') scoreByWeights(taken, scorer.weights, scores);
    else scoreByNeighbours(taken, scorer.neighbours, scorer.cosines, scorer.width, scores);
    for (const item of taken) scores[item] = Number.NEGATIVE_INFINITY;
    selectTop(scores, ranking);
  }
}

function rowOf(csr: Csr, row: number): Int32Array {
  return csr.idx.subarray(csr.ptr[row]!, csr.ptr[row + 1]!);
}
