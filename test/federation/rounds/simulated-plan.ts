// What a simulated federation trains: data small enough that a sweep takes microseconds, with the real mathematics.

import { createRandom } from '../../../common/random.js';
import { type Exchange, exchangesOfSweep } from '../../../federation/ials/exchange.js';
import { itemSums } from '../../../federation/ials/item-sums.js';
import type { RoundPlan } from '../../../federation/rounds/round-plan.js';
import type { Csr } from '../../../models/csr.js';
import type { IalsObjective, SolverOptions } from '../../../models/device.js';
import { packedGramOf, unpackGram } from '../../../models/gram.js';
import { initFactors } from '../../../models/ials/init-factors.js';
import { solveBlock } from '../../../models/ials/solve-block.js';
import { SolveWorkspace } from '../../../models/ials/solve-workspace.js';
import { defaultObjective, transpose } from '../../support/ials-problems.js';

export const ITEMS = 4;
export const FACTORS = 3;
export const OBJECTIVE: IalsObjective = { ...defaultObjective, regularization: 0.1 };

const SOLVERS: readonly SolverOptions[] = [
  { name: 'cholesky', cgSteps: 1, block: 1 },
  { name: 'cg', cgSteps: 2, block: 1 },
  { name: 'ials++', cgSteps: 1, block: 2 },
];

export interface SimulatedPlan {
  readonly seed: number;
  readonly solver: SolverOptions;
  readonly exchanges: readonly Exchange[];
  readonly rounds: RoundPlan;
}

export function drawPlan(seed: number): SimulatedPlan {
  const random = createRandom(seed, 2);
  const solver = SOLVERS[random.int(SOLVERS.length)]!;
  const exchanges = exchangesOfSweep(solver, FACTORS);
  const cohortMin = 2 + random.int(3);
  return {
    seed,
    solver,
    exchanges,
    rounds: {
      sweeps: 2 + random.int(3),
      exchanges: exchanges.length,
      hasCensus: true,
      isMasked: random.int(2) === 0,
      cohortMin,
      cohortMax: random.int(3) === 0 ? cohortMin + random.int(3) : 100,
      timing: {
        answerMs: 1000 + random.int(3000),
        uploadMs: 2000 + random.int(8000),
        presenceMs: 3000 + random.int(3000),
        gatherMs: random.int(3000),
      },
    },
  };
}

export interface InstitutionData {
  readonly byUser: Csr;
  readonly byItem: Csr;
}

const drawn = new Map<string, InstitutionData>();

/** One to nine learners, of whom each took one to all items. */
export function institutionData(seed: number, index: number): InstitutionData {
  const key = `${seed} ${index}`;
  const known = drawn.get(key);
  if (known !== undefined) return known;
  if (drawn.size > 100) drawn.clear();
  const data = drawData(seed, index);
  drawn.set(key, data);
  return data;
}

function drawData(seed: number, index: number): InstitutionData {
  const random = createRandom(seed, 1000 + index);
  const users = 1 + Math.floor(9 * random.next() ** 3);
  const ptr = new Int32Array(users + 1);
  const idx: number[] = [];
  for (let user = 0; user < users; user++) {
    const first = random.int(ITEMS);
    for (let item = 0; item < ITEMS; item++) {
      if (item === first || random.next() < 0.4) idx.push(item);
    }
    ptr[user + 1] = idx.length;
  }
  const byUser = { rows: users, cols: ITEMS, ptr, idx: Int32Array.from(idx) };
  return { byUser, byItem: transpose(byUser) };
}

export function initialItems(seed: number): Float32Array {
  const items = new Float32Array(ITEMS * FACTORS);
  initFactors(items, { seed, side: 'items', rowStart: 0, rowEnd: ITEMS, factors: FACTORS, stdDev: 1 });
  return items;
}

/** Scratch; changes no bit of any result. */
const workspace = new SolveWorkspace();

/** A participant's users from the items of a sweep's beginning. */
export function solveUsers(data: InstitutionData, items: Float32Array) {
  const gram = unpackGram(packedGramOf(items, ITEMS, FACTORS), FACTORS);
  const solver = SOLVERS[0]!;
  const task = { block: data.byUser, fixed: items, fixedRows: ITEMS, factors: FACTORS, gram, solver };
  return solveBlock({ ...task, objective: OBJECTIVE, wantLoss: false, workspace });
}

/** All numbers that a participant uploads in an exchange: the Gram where it is the first, then the items' sums. */
export function uploadOf(
  data: InstitutionData,
  items: Float32Array,
  ask: { exchange: Exchange; isFirst: boolean; operand?: Float32Array },
): Float64Array {
  const { rows, gram } = solveUsers(data, items);
  const sums = itemSums(
    { byItem: data.byItem, users: rows, factors: FACTORS, objective: OBJECTIVE, ...ask },
    { itemStart: 0, itemEnd: ITEMS },
  );
  if (!ask.isFirst) return sums;
  const all = new Float64Array(gram.length + sums.length);
  all.set(gram);
  all.set(sums, gram.length);
  return all;
}
