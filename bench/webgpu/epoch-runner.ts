import { Slots } from '../../common/slots.js';
import { type Csr, csrSlice } from '../../models/csr.js';
import type { ComputeDevice, FactorTable, IalsObjective, SolverName } from '../../models/device.js';
import { addPackedGram, packedGramLength, packedGramOf, unpackGram } from '../../models/gram.js';
import { initFactors } from '../../models/ials/init-factors.js';
import { totalLoss } from '../../models/ials/loss.js';
import type { Interactions } from './skewed-interactions.js';

/** Blocks of a phase: enough to keep two in flight. */
const BLOCKS = 8;
const STEPS = 3;
const OBJECTIVE: IalsObjective = {
  objective: 'ials',
  weights: 'binary',
  alpha0: 0.1,
  alpha: 1,
  regularization: 0.003,
  nu: 1,
};

export interface EpochTimes {
  /** Of each epoch but the first, which compiles. */
  readonly epoch_seconds: readonly number[];
  readonly median_seconds: number;
  /** Floating-point operations of an epoch, by the textbook: the row sums, the factorisations or steps, the Grams. */
  readonly operations: number;
  /** Bytes of rows that an epoch gathers. */
  readonly gathered_bytes: number;
  /** After the last epoch. */
  readonly loss: number;
}

interface PhaseResult {
  readonly gram: Float64Array;
  readonly observed: number;
  readonly penalty: number;
}

/** Trains on one device, an epoch at a time, as a worker does: blocks in flight, results written to the tables. */
export class EpochRunner {
  readonly #device: ComputeDevice;
  readonly #data: Interactions;
  readonly #factors: number;
  readonly #solver: SolverName;
  readonly #users: FactorTable;
  readonly #items: FactorTable;
  #itemGram: Float64Array;
  #loss = Number.NaN;
  readonly #seconds: number[] = [];

  private constructor(
    device: ComputeDevice,
    data: Interactions,
    solver: SolverName,
    tables: { users: FactorTable; items: FactorTable; gram: Float64Array },
  ) {
    this.#device = device;
    this.#data = data;
    this.#factors = tables.items.factors;
    this.#solver = solver;
    this.#users = tables.users;
    this.#items = tables.items;
    this.#itemGram = tables.gram;
  }

  /** Uploads the first factors and runs one epoch that is not counted. */
  static async start(
    device: ComputeDevice,
    data: Interactions,
    factors: number,
    solver: SolverName,
  ): Promise<EpochRunner> {
    const rows = data.byItem.rows;
    const start = new Float32Array(rows * factors);
    initFactors(start, { seed: 1, side: 'items', rowStart: 0, rowEnd: rows, factors, stdDev: 0.1 });
    const users = await device.createTable(data.byUser.rows, factors);
    const items = await device.createTable(rows, factors);
    await device.write(items, 0, start);
    const gram = packedGramOf(start, rows, factors);
    const runner = new EpochRunner(device, data, solver, { users, items, gram });
    await runner.#epoch();
    return runner;
  }

  async runEpoch(): Promise<void> {
    const startMs = performance.now();
    await this.#epoch();
    this.#seconds.push((performance.now() - startMs) / 1000);
  }

  times(): EpochTimes {
    const sorted = [...this.#seconds].sort((a, b) => a - b);
    const { byUser, byItem } = this.#data;
    const K = this.#factors;
    const passes = this.#solver === 'cg' ? STEPS + 1 : 1;
    return {
      epoch_seconds: this.#seconds,
      median_seconds: (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2,
      operations: operationsOf(byUser, K, this.#solver) + operationsOf(byItem, K, this.#solver),
      gathered_bytes: 2 * passes * byUser.idx.length * (4 * K + 4),
      loss: this.#loss,
    };
  }

  dispose(): void {
    this.#users.dispose();
    this.#items.dispose();
  }

  async #epoch(): Promise<void> {
    const users = await this.#phase(this.#data.byUser, this.#items, this.#itemGram, this.#users);
    const items = await this.#phase(this.#data.byItem, this.#users, users.gram, this.#items);
    this.#itemGram = items.gram;
    this.#loss = totalLoss({
      objective: OBJECTIVE,
      observed: items.observed,
      penaltyUsers: users.penalty,
      penaltyItems: items.penalty,
      gramUsers: users.gram,
      gramItems: items.gram,
      factors: this.#factors,
    });
  }

  async #phase(
    rows: Csr,
    fixed: FactorTable,
    packed: Float64Array,
    target: FactorTable,
  ): Promise<PhaseResult> {
    const gram = unpackGram(packed, this.#factors);
    const slots = new Slots(this.#device.capabilities.blocksInFlight);
    const cuts = cutsOf(rows);
    const warm = this.#solver !== 'cholesky' && this.#seconds.length > 0;
    const results = await Promise.all(
      cuts.slice(1).map((end, i) =>
        slots.hold(async () => {
          const start = cuts[i]!;
          const result = await this.#device.solveBlock({
            block: csrSlice(rows, start, end),
            fixed,
            gram,
            prior: warm ? await this.#device.read(target, start, end) : undefined,
            objective: OBJECTIVE,
            solver: { name: this.#solver, cgSteps: STEPS, block: 64 },
            wantLoss: true,
          });
          await this.#device.write(target, start, result.rows);
          return result;
        }),
      ),
    );
    const sum = new Float64Array(packedGramLength(this.#factors));
    for (const result of results) addPackedGram(sum, result.gram);
    const add = (term: 'observed' | 'penalty') => results.reduce((total, { loss }) => total + loss![term], 0);
    return { gram: sum, observed: add('observed'), penalty: add('penalty') };
  }
}

/** Ends of blocks of about as many entries. */
function cutsOf({ rows, ptr }: Csr): number[] {
  const cuts = [0];
  for (let row = 1; row <= rows; row++) {
    if (row === rows || ptr[row]! >= (cuts.length * ptr[rows]!) / BLOCKS) cuts.push(row);
  }
  return cuts;
}

function operationsOf({ rows, ptr }: Csr, K: number, solver: SolverName): number {
  const entries = ptr[rows]!;
  const gram = rows * K * (K + 1);
  if (solver === 'cg') return (STEPS + 1) * (4 * entries * K + 2 * rows * K * K) + gram;
  return entries * K * (K + 1) + rows * (K ** 3 / 3 + 4 * K * K) + gram;
}
