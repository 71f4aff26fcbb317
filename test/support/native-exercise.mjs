// Runs the compiled addon through everything it has, in a process of its own, also under sanitizers:
// `node native-exercise.mjs ADDON ROUNDS SEED`. First real work with every instruction set, then calls whose arguments
// are wrong in every way: each must be refused with a code, or answered. Prints {"worked", "refused", "answered"}.

import { createRequire } from 'node:module';

const [file, rounds, seed] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const addon = createRequire(import.meta.url)(file);

let state = seed >>> 0 || 1;
const next = () => {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) / 2 ** 32;
};
const int = (limit) => Math.floor(next() * limit);
const floats = (length) => Float32Array.from({ length }, () => next() - 0.5);
const CODES = ['STOA_SHAPE', 'STOA_DEVICE', 'STOA_NUMERIC_NOT_FINITE'];

function problem(rows, cols, factors, longest) {
  const lists = Array.from({ length: rows }, (_, row) => {
    const count = row === 0 ? 0 : row === 1 ? Math.min(cols, longest) : int(Math.min(cols, 3 * factors + 2));
    return Array.from({ length: count }, (_, i) => Math.floor((i * cols) / count));
  });
  const ptr = new Int32Array(rows + 1);
  lists.forEach((list, row) => {
    ptr[row + 1] = ptr[row] + list.length;
  });
  const idx = Int32Array.from(lists.flat());
  const fixed = floats(cols * factors);
  const gram = new Float64Array(factors * factors);
  for (let i = 0; i < cols; i++)
    for (let r = 0; r < factors; r++)
      for (let c = 0; c < factors; c++)
        gram[r * factors + c] += fixed[i * factors + r] * fixed[i * factors + c];
  return {
    rows,
    cols,
    ptr,
    idx,
    values: Float32Array.from(idx, next),
    fixed,
    gram,
    prior: floats(rows * factors),
  };
}

function solveArguments({ rows, ptr, idx, values, gram, prior }, factors, solver) {
  return {
    rows,
    ptr,
    idx,
    values: next() < 0.5 ? values : undefined,
    gram,
    prior: next() < 0.5 ? prior : undefined,
    out: new Float32Array(new SharedArrayBuffer(rows * factors * 4)),
    outGram: new Float64Array((factors * (factors + 1)) / 2),
    solver,
    steps: 1 + int(4),
    block: Math.max(1, int(factors + 1)),
    isHalf: next() < 0.5,
    wantLoss: next() < 0.5,
    gramScale: 1,
    weightScale: 2,
    targetShift: 1,
    regularization: 0.5,
    countShift: 0,
    exponent: next() < 0.5 ? 0 : 0.5,
  };
}

function rankArguments({ rows, ptr, idx, prior }) {
  const n = 1 + int(40);
  return {
    queries: prior,
    count: rows,
    n,
    excludePtr: next() < 0.5 ? ptr : undefined,
    excludeIdx: idx,
    ids: new Int32Array(rows * n),
    scores: new Float32Array(rows * n),
  };
}

const scoreArguments = ({ rows, ptr, idx, prior }) => ({
  queries: prior,
  count: rows,
  ptr,
  idx,
  scores: new Float32Array(idx.length),
});

function sumArguments({ rows, ptr, idx, values, prior }, factors, kind = int(4)) {
  const start = kind === 3 ? int(factors) : 0;
  const end = kind === 3 ? start + 1 + int(factors - start) : factors;
  const width = end - start;
  const length = kind === 0 || kind === 3 ? (width * (width + 1)) / 2 + width : factors;
  return {
    rows,
    ptr,
    idx,
    values: next() < 0.5 ? values : undefined,
    operand: prior,
    kind,
    start,
    end,
    weightScale: 2,
    targetShift: 1,
    out: new Float64Array(rows * length),
  };
}

function drawArguments({ rows, cols, ptr, idx, values }) {
  const hasNegatives = next() < 0.7;
  const steps = 1 + int(3);
  const parts = new Int32Array(3 * steps);
  let samples = 0;
  for (let step = 0; step < steps; step++) {
    const start = int(idx.length + 1);
    const end = start + int(idx.length - start + 1);
    parts.set([int(5), start, end], 3 * step);
    samples += end - start;
  }
  let sum = 0;
  return {
    rows,
    cols,
    ptr,
    idx,
    values: next() < 0.5 ? values : undefined,
    seed: int(2 ** 32) * 2 ** 20,
    block: int(100),
    steps,
    parts,
    hasNegatives,
    cumulative: next() < 0.5 ? Float64Array.from({ length: cols }, () => (sum += next())) : undefined,
    users: new Int32Array(samples),
    positives: new Int32Array(samples),
    negatives: new Int32Array(hasNegatives ? samples : 0),
    sampleValues: new Float32Array(hasNegatives ? 0 : samples),
    items: new Int32Array(cols),
  };
}

function descentArguments({ rows, cols }, factors, hasPairs = next() < 0.5) {
  const columns = factors + (hasPairs ? 1 : 2);
  const samples = 1 + int(300);
  const among = (count, least) => Int32Array.from({ length: samples }, () => int(count - least) + least);
  const half = int(samples + 1);
  return {
    hasPairs,
    rows,
    places: cols,
    factors,
    steps: 2,
    stepEnds: Int32Array.of(half, samples),
    rates: Float64Array.of(0.1, 0.05),
    regularization: 0.01,
    mean: hasPairs ? 0 : 3,
    users: floats(rows * columns),
    items: floats(cols * columns),
    sampleUsers: among(rows, 0),
    positives: among(cols, 0),
    negatives: hasPairs ? among(cols, -1) : new Int32Array(0),
    values: hasPairs ? new Float32Array(0) : floats(samples),
    outUsers: new Float32Array(new SharedArrayBuffer(rows * columns * 4)),
    deltas: new Float32Array(cols * columns),
    counts: new Int32Array(cols),
  };
}

async function workOnSteps(device, made, factors) {
  const task = drawArguments(made);
  const drawn = await addon.drawSamples(device, task).done;
  const isWithin = (places, least) => places.every((place) => place >= least && place < drawn.itemCount);
  if (drawn.kind !== 0 || !isWithin(task.positives, 0) || !isWithin(task.negatives, -1))
    throw new Error(`drawing fails: ${JSON.stringify(drawn)}`);
  for (const hasPairs of [true, false]) {
    const steps = descentArguments(made, factors, hasPairs);
    const { kind, loss } = await addon.descend(device, steps).done;
    if (kind !== 0 || !(loss > 0) || !steps.deltas.every(Number.isFinite))
      throw new Error(`descending fails: ${kind} ${loss}`);
  }
}

async function work(isa) {
  const device = addon.open({ threads: 2, isa });
  for (const [rows, cols, factors, longest] of [
    [5, 9, 1, 9],
    [40, 70, 17, 70],
    [9, 2600, 33, 2600],
    [70, 150, 64, 150],
    [6, 40, 130, 40],
  ]) {
    const made = problem(rows, cols, factors, longest);
    const table = addon.createTable({ rows: cols, factors });
    addon.writeTable(table, { rowStart: 0, count: cols, data: made.fixed });
    for (let solver = 0; solver < 3; solver++) {
      const task = solveArguments(made, factors, solver);
      const { kind, row, detail } = await addon.solveBlock(device, table, task).done;
      if (kind !== 0 || !task.out.every(Number.isFinite))
        throw new Error(
          `${isa}: solver ${solver} fails: ${[kind, row, detail, factors, task.values !== undefined, task.prior !== undefined, task.isHalf, task.out[factors]]}`,
        );
    }
    for (let kind = 0; kind < 4; kind++) {
      const task = sumArguments(made, factors, kind);
      const answer = await addon.sumRows(device, table, task).done;
      if (answer.kind !== 0 || !task.out.every(Number.isFinite) || task.out.every((sum) => sum === 0))
        throw new Error(`${isa}: sums of kind ${kind} fail: ${JSON.stringify(answer)}`);
    }
    await addon.topN(device, table, rankArguments(made)).done;
    await addon.score(device, table, scoreArguments(made)).done;
    await workOnSteps(device, made, factors);
    const data = new Float32Array(cols * factors);
    addon.readTable(table, { rowStart: 0, count: cols, data });
    if (!data.every((value, i) => value === made.fixed[i]))
      throw new Error('a table is not what was written');
    addon.disposeTable(table);
  }
  addon.close(device);
}

/** What no argument should be. */
function nasty(was) {
  const detached = new Float32Array(8);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  const resizable = new ArrayBuffer(64, { maxByteLength: 128 });
  const shrunk = new Float32Array(resizable);
  resizable.resize(0);
  const choices = [
    undefined,
    null,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -1,
    0.5,
    2 ** 31,
    2 ** 53,
    1e300,
    'x',
    {},
    [],
    true,
    10n,
    Symbol('s'),
    () => 1,
    detached,
    shrunk,
    new DataView(new ArrayBuffer(8)),
    new Float64Array(3),
    new Uint8Array(5),
    new Int32Array(0),
    new Float32Array(0),
    new Float32Array(1e6),
    new Int32Array([0, 5, 3, 9]),
    new Proxy(
      {},
      {
        get: () => {
          throw new Error('a trap');
        },
      },
    ),
  ];
  if (!ArrayBuffer.isView(was) || !(was.length > 0) || next() < 0.6) return choices[int(choices.length)];
  const bent = was.slice();
  const wild = [Number.NaN, Infinity, -Infinity, 3e38, -1, 1e9, -2147483648, 2147483647, 1e-45];
  for (let i = 0; i < 3 && bent.length > 0; i++) bent[int(bent.length)] = wild[int(wild.length)];
  return bent;
}

async function abuse() {
  const factors = 5;
  const made = problem(7, 11, factors, 11);
  const outcome = { refused: 0, answered: 0 };
  const attempt = async (call) => {
    let done;
    try {
      done = call()?.done;
    } catch (error) {
      const isTrap = error.message === 'a trap';
      if (!isTrap && !CODES.includes(error.code)) throw new Error(`refused without a code: ${error.stack}`);
      outcome.refused++;
      return;
    }
    await done;
    outcome.answered++;
  };
  const device = addon.open({ threads: 2, isa: '' });
  const closed = addon.open({ threads: 1, isa: '' });
  addon.close(closed);
  addon.close(closed);
  for (let round = 0; round < rounds; round++) {
    const table = addon.createTable({ rows: 11, factors });
    addon.writeTable(table, { rowStart: 0, count: 11, data: made.fixed });
    const gone = addon.createTable({ rows: 11, factors });
    addon.disposeTable(gone);
    addon.disposeTable(gone);
    const bend = (task) => {
      for (let i = 0; i <= int(2); i++) {
        const keys = Object.keys(task);
        const key = keys[int(keys.length)];
        task[key] = nasty(task[key]);
      }
      // Outputs over inputs, and over each other.
      if (next() < 0.1 && task.prior) task.out = task.prior;
      if (next() < 0.1 && task.operand && task.out instanceof Float64Array && task.out.byteLength >= 140)
        task.operand = new Float32Array(task.out.buffer, 0, 35);
      if (next() < 0.1 && task.scores) task.queries = task.scores;
      if (next() < 0.1 && task.outUsers) task.users = task.outUsers;
      if (next() < 0.1 && task.sampleValues) task.positives = task.users;
      return next() < 0.05 ? nasty(undefined) : task;
    };
    const devices = [device, device, device, device, closed, table, {}, undefined];
    const tables = [table, table, table, table, gone, device, {}, undefined];
    const one = () => devices[int(devices.length)];
    const other = () => tables[int(tables.length)];
    await attempt(() => addon.solveBlock(one(), other(), bend(solveArguments(made, factors, int(3)))));
    await attempt(() => addon.topN(one(), other(), bend(rankArguments(made))));
    await attempt(() => addon.score(one(), other(), bend(scoreArguments(made))));
    await attempt(() => addon.sumRows(one(), other(), bend(sumArguments(made, factors))));
    await attempt(() => addon.drawSamples(one(), bend(drawArguments(made))));
    await attempt(() => addon.descend(one(), bend(descentArguments(made, factors))));
    await attempt(() =>
      addon.writeTable(other(), bend({ rowStart: int(12), count: int(12), data: made.fixed })),
    );
    await attempt(() =>
      addon.readTable(other(), bend({ rowStart: int(12), count: int(12), data: floats(55) })),
    );
    await attempt(() => addon.createTable(bend({ rows: int(9), factors: int(9) })));
    await attempt(() => addon.cancel(one(), nasty(undefined)));
    if (round % 50 === 0) await attempt(() => addon.close(addon.open(bend({ threads: 1, isa: '' }))));
    addon.disposeTable(table);
  }
  addon.close(device);
  return outcome;
}

const sets = addon.instructionSets();
for (const isa of sets) await work(isa);
const outcome = await abuse();
console.log(JSON.stringify({ worked: sets, ...outcome }));
