// Institutions with learners of their own, trained together by exact statistics: small enough to be looked through, and
// with what makes federations hard, sizes and tastes that differ.

import { createRandom, type Random } from '../../common/random.js';
import { type ItemContribution, itemWidth } from '../../federation/robust/item-contribution.js';
import type { Csr } from '../../models/csr.js';
import type { IalsObjective } from '../../models/device.js';
import { unpackGram } from '../../models/gram.js';
import { initFactors } from '../../models/ials/init-factors.js';
import { solveBlock } from '../../models/ials/solve-block.js';
import { referenceGram } from '../../models/reference/gram.js';
import { gaussianElimination } from '../../models/reference/solve-rows.js';

export interface Institution {
  name: string;
  /** Training interactions, users × items. */
  rows: Csr;
  /** One item of each user that is held out; -1: none. */
  held: Int32Array;
}

export interface World {
  institutions: Institution[];
  items: number;
}

export const OBJECTIVE: IalsObjective = {
  objective: 'ials',
  weights: 'binary',
  alpha0: 0.1,
  alpha: 1,
  regularization: 0.02,
  nu: 1,
};

/** Learners of one to two topics; every institution favours topics of its own and has all of them. */
export function makeWorld(o: {
  sizes: readonly number[];
  items: number;
  topics: number;
  seed: number;
}): World {
  const random = createRandom(o.seed, 3);
  const institutions = o.sizes.map((size, index) => {
    const lists = Array.from({ length: size }, () => learnerItems(random, o, index));
    const held = Int32Array.from(lists, (list) => (list.length > 4 ? list.pop()! : -1));
    return { name: `uni-${index}`, rows: csrOf(lists, o.items), held };
  });
  return { institutions, items: o.items };
}

function learnerItems(random: Random, o: { items: number; topics: number }, institution: number): number[] {
  const favoured = random.next() < 0.5 ? institution % o.topics : random.int(o.topics);
  const second = random.int(o.topics);
  const perTopic = o.items / o.topics;
  const taken = new Set<number>();
  const length = 3 + Math.floor(9 * random.next() ** 2);
  for (let tries = 0; taken.size < length && tries < 100; tries++) {
    const topic = random.next() < 0.65 ? favoured : random.next() < 0.8 ? second : random.int(o.topics);
    // Popularity within a topic falls off, as it does everywhere.
    taken.add(topic * perTopic + Math.floor(perTopic * random.next() ** 2));
  }
  return [...taken];
}

/** Rows from lists of items, in any order. */
export function csrOf(lists: readonly number[][], cols: number): Csr {
  const sorted = lists.map((list) => [...list].sort((a, b) => a - b));
  const ptr = new Int32Array(lists.length + 1);
  for (const [row, list] of sorted.entries()) ptr[row + 1] = ptr[row]! + list.length;
  return { rows: lists.length, cols, ptr, idx: Int32Array.from(sorted.flat()) };
}

/** How the sums of a sweep come about from what the institutions hand in. */
export type Aggregate = (contributions: ItemContribution[]) => { sums: Float64Array; counts: Float64Array };

export interface Trained {
  items: Float32Array;
  factors: number;
}

/** Sweeps of exact iALS: users at home, items from sums. `tamper` is what a liar does to its own contribution. */
export function trainTogether(
  world: World,
  o: {
    factors: number;
    sweeps: number;
    aggregate: Aggregate;
    tamper?: (contribution: ItemContribution, institution: number) => ItemContribution;
    /** Items' factors to begin with. @default seeded ones */
    start?: Float32Array;
    onSweep?: (items: Float32Array, sweep: number) => Float32Array;
  },
): Trained {
  const { factors } = o;
  let items = o.start ?? seededItems(world.items, factors);
  for (let sweep = 1; sweep <= o.sweeps; sweep++) {
    const users = world.institutions.map(({ rows }) => solveUsers(rows, items, factors));
    const honest = world.institutions.map((institution, index) =>
      statistics(institution, users[index]!, factors),
    );
    const sent = honest.map((contribution, index) => o.tamper?.(contribution, index) ?? contribution);
    const { sums, counts } = o.aggregate(sent);
    const next = solveItems({ world, users, sums, counts, factors });
    items = o.onSweep?.(next, sweep) ?? next;
  }
  return { items, factors };
}

function seededItems(rows: number, factors: number): Float32Array {
  const items = new Float32Array(rows * factors);
  initFactors(items, { seed: 1, side: 'items', rowStart: 0, rowEnd: rows, factors, stdDev: 0.1 });
  return items;
}

export function solveUsers(rows: Csr, items: Float32Array, factors: number): Float32Array {
  const itemRows = items.length / factors;
  return solveBlock({
    block: rows,
    fixed: items,
    fixedRows: itemRows,
    factors,
    gram: referenceGram(items, itemRows, factors),
    objective: OBJECTIVE,
    solver: { name: 'cholesky', cgSteps: 3, block: 8 },
    wantLoss: false,
  }).rows;
}

/** A_i, b_i and counts of an institution, by the definition. */
export function statistics(
  { name, rows }: Institution,
  users: Float32Array,
  factors: number,
): ItemContribution {
  const width = itemWidth(factors);
  const sums = new Float64Array(rows.cols * width);
  const counts = new Float64Array(rows.cols);
  for (let user = 0; user < rows.rows; user++) {
    const x = users.subarray(user * factors, (user + 1) * factors);
    for (let e = rows.ptr[user]!; e < rows.ptr[user + 1]!; e++) {
      const item = rows.idx[e]!;
      counts[item] = counts[item]! + 1;
      let at = item * width;
      for (let r = 0; r < factors; r++) {
        for (let c = 0; c <= r; c++, at++) sums[at] = sums[at]! + x[r]! * x[c]!;
      }
      for (let k = 0; k < factors; k++, at++) sums[at] = sums[at]! + x[k]!;
    }
  }
  return { source: name, counts, sums };
}

function solveItems(o: {
  world: World;
  users: readonly Float32Array[];
  sums: Float64Array;
  counts: Float64Array;
  factors: number;
}): Float32Array {
  const { world, users, sums, counts, factors } = o;
  const width = itemWidth(factors);
  const triangle = width - factors;
  const learners = users.reduce((total, part) => total + part.length / factors, 0);
  const gram = new Float64Array(factors * factors);
  for (const part of users) {
    const own = referenceGram(part, part.length / factors, factors);
    for (let k = 0; k < gram.length; k++) gram[k] = gram[k]! + own[k]!;
  }
  const items = new Float32Array(world.items * factors);
  for (let item = 0; item < world.items; item++) {
    const a = unpackGram(sums.slice(item * width, item * width + triangle), factors);
    const b = sums.slice(item * width + triangle, (item + 1) * width);
    const penalty = OBJECTIVE.regularization * (counts[item]! + OBJECTIVE.alpha0 * learners) ** OBJECTIVE.nu;
    for (let k = 0; k < a.length; k++) a[k] = a[k]! + OBJECTIVE.alpha0 * gram[k]!;
    for (let k = 0; k < factors; k++) a[k * factors + k] = a[k * factors + k]! + penalty;
    items.set(gaussianElimination({ a, b }), item * factors);
  }
  return items;
}

/** The ten best items that a learner has not taken, for every learner of an institution. */
function topTen(rows: Csr, users: Float32Array, { items, factors }: Trained): number[][] {
  const total = items.length / factors;
  return Array.from({ length: rows.rows }, (_, user) => {
    const taken = new Set(rows.idx.subarray(rows.ptr[user]!, rows.ptr[user + 1]!));
    const scores = new Float64Array(total);
    for (let item = 0; item < total; item++) {
      let score = 0;
      for (let k = 0; k < factors; k++) score += users[user * factors + k]! * items[item * factors + k]!;
      scores[item] = taken.has(item) ? Number.NEGATIVE_INFINITY : score;
    }
    return Array.from(scores.keys())
      .sort((a, b) => scores[b]! - scores[a]!)
      .slice(0, 10);
  });
}

export interface Quality {
  /** By item: part of the learners that are shown it among their ten. */
  exposure: Float64Array;
  /** Part of the held-out items that are among the ten. */
  recall: number;
  /** The same, learner by learner, for each institution. */
  hits: number[][];
}

/**
 * What learners are shown, with user factors solved from the given items.
 *
 * @param every measures each learner whose number is a multiple of it. @default 1
 */
export function qualityOf(world: World, model: Trained, every = 1): Quality {
  const exposure = new Float64Array(world.items);
  const hits: number[][] = [];
  let learners = 0;
  for (const institution of world.institutions) {
    const { rows, held } = every === 1 ? institution : sampled(institution, every);
    const users = solveUsers(rows, model.items, model.factors);
    const own: number[] = [];
    for (const [user, shown] of topTen(rows, users, model).entries()) {
      learners++;
      for (const item of shown) exposure[item] = exposure[item]! + 1;
      if (held[user]! >= 0) own.push(shown.includes(held[user]!) ? 1 : 0);
    }
    hits.push(own);
  }
  const all = hits.flat();
  return {
    exposure: exposure.map((count) => count / learners),
    recall: all.reduce((sum, hit) => sum + hit, 0) / all.length,
    hits,
  };
}

function sampled({ name, rows, held }: Institution, every: number): Institution {
  const kept = Array.from({ length: Math.ceil(rows.rows / every) }, (_, n) => n * every);
  const lists = kept.map((user) => [...rows.idx.subarray(rows.ptr[user]!, rows.ptr[user + 1]!)]);
  return { name, rows: csrOf(lists, rows.cols), held: Int32Array.from(kept, (user) => held[user]!) };
}
