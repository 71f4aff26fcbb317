// What solvers come to: on data with structure, the metrics of a run do not depend on which one it was trained with.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRandom } from '../../common/random.js';
import { evaluate } from '../../coordinator/evaluation/evaluate.js';
import type { Csr } from '../../models/csr.js';
import type { ComputeDevice, IalsObjective, SolverOptions } from '../../models/device.js';
import { portableDevice } from '../../worker/devices/portable.js';
import { trainIals } from './train-ials.js';

const USERS = 1500;
const ITEMS = 180;
const TOPICS = 9;
/** Not a multiple of the blocks below. */
const FACTORS = 12;
const EPOCHS = 24;
/** Of Recall@20, absolute. */
const TOLERANCE = 0.002;

/** Penalties strong enough that there is one optimum, which all come to in these epochs. */
const ials: IalsObjective = {
  objective: 'ials',
  weights: 'binary',
  alpha0: 0.1,
  alpha: 1,
  regularization: 0.1,
  nu: 1,
};
const hu2008: IalsObjective = { ...ials, objective: 'hu2008', alpha: 8, regularization: 80 };

const SOLVERS: Readonly<Record<string, SolverOptions>> = {
  cg: { name: 'cg', cgSteps: 3, block: 1 },
  'ials++ with blocks of 1': { name: 'ials++', cgSteps: 1, block: 1 },
  'ials++ with blocks of 5': { name: 'ials++', cgSteps: 1, block: 5 },
};

describe.each([
  ['ials', ials],
  ['hu2008', hu2008],
])('after %s training', (_, objective) => {
  const { train, test } = topicalInteractions(5);
  let device: ComputeDevice;
  let exact: number;

  const recall = async (solver: SolverOptions): Promise<number> => {
    const model = await trainIals(device, train, {
      factors: FACTORS,
      epochs: EPOCHS,
      objective,
      seed: 3,
      solver,
    });
    const { model: measured } = await evaluate({
      ...model,
      train,
      test,
      factors: FACTORS,
      cutoffs: [20],
      baselines: [],
      threads: 1,
      seed: 1,
    });
    return measured.metrics['recall@20']!;
  };

  beforeAll(async () => {
    device = await portableDevice.open({ threads: 2 });
    exact = await recall({ name: 'cholesky', cgSteps: 1, block: 1 });
  });
  afterAll(() => device.dispose());

  it('cholesky finds more of what was hidden than chance would', () => {
    expect(exact).toBeGreaterThan(3 * (20 / ITEMS));
  });

  it.each(Object.entries(SOLVERS))('%s comes within ±0.002 of its Recall@20', async (_name, solver) => {
    expect(Math.abs((await recall(solver)) - exact)).toBeLessThanOrEqual(TOLERANCE);
  });
});

/** Users who mostly take items of two topics of theirs; a fifth of what each took is hidden. */
function topicalInteractions(seed: number): { train: Csr; test: Csr } {
  const random = createRandom(seed, 3);
  const rows = Array.from({ length: USERS }, () => {
    const topics = [random.int(TOPICS), random.int(TOPICS)];
    const taken = new Set<number>();
    for (let n = 6 + random.int(20); n > 0; n--) {
      const isOwn = random.next() < 0.8;
      const topic = isOwn ? topics[random.int(2)]! : random.int(TOPICS);
      const place = Math.floor((ITEMS / TOPICS) * random.next() ** 1.5);
      taken.add(Math.min(ITEMS - 1, place * TOPICS + topic));
    }
    const items = [...taken].sort((a, b) => a - b);
    const hidden = items.map(() => random.next() < 0.2);
    return { kept: items.filter((_, i) => !hidden[i]), hidden: items.filter((_, i) => hidden[i]) };
  });
  return { train: csrOf(rows.map((row) => row.kept)), test: csrOf(rows.map((row) => row.hidden)) };
}

function csrOf(rows: number[][]): Csr {
  const ptr = new Int32Array(rows.length + 1);
  for (const [row, columns] of rows.entries()) ptr[row + 1] = ptr[row]! + columns.length;
  return { rows: rows.length, cols: ITEMS, ptr, idx: Int32Array.from(rows.flat()) };
}
