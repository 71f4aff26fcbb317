import type { Side } from '../../models/csr.js';
import { gatherRows, type RowSource } from '../parameters/row-source.js';
import type { StepDelivery } from '../parameters/step-delivery.js';
import type { StepAnswer } from '../parameters/step-service.js';
import type { StepTables } from '../parameters/step-tables.js';
import type { PlanBlock } from '../plan/plan-blocks.js';
import type { PlacedTables } from './placed-tables.js';

/** As of `PlacedStore`. */
type Placed = Pick<PlacedTables, 'results' | 'factors' | 'acceptStep' | 'settled' | 'commit' | 'source'>;

const SIDES = ['users', 'items'] as const;
const NONE = new Float32Array(0);

/** The tables of a run that pushes and pulls, the rows of which are in parameter processes. */
export class PlacedStepStore implements StepTables {
  readonly placed: Placed;
  readonly #mergeRate: (clock: number) => number;
  #clock: number;
  #keptClock = -1;
  #bestClock = -1;

  /** @param mergeRate q of `models/sgd/merge-weights.ts` at a clock. */
  constructor(placed: Placed, clock: number, mergeRate: (clock: number) => number) {
    this.placed = placed;
    this.#clock = clock;
    this.#mergeRate = mergeRate;
  }

  get columns(): number {
    return this.placed.factors;
  }

  get clock(): number {
    return this.#clock;
  }

  /** The facts of the read: its rows are elsewhere. */
  answer(_read: unknown, staleness: number): StepAnswer {
    const { clock, columns } = this;
    return { clock, staleness, users: NONE, rowStart: 0, items: NONE, columns };
  }

  apply({ index: block }: PlanBlock, { clock, leaseId, heldBy = [] }: StepDelivery): void {
    this.placed.acceptStep({ block, clock, leaseId }, heldBy, this.#mergeRate(clock - 1));
  }

  commit(): void {
    this.#clock++;
  }

  settled(): Promise<void> {
    return this.placed.settled();
  }

  /** @param clock that the rows are at. */
  async keep(clock = this.#clock): Promise<void> {
    for (const side of SIDES) await this.placed.commit(side, clock);
    this.#keptClock = clock;
  }

  async keepBest(): Promise<void> {
    for (const side of SIDES) await this.placed.commit(side, this.#keptClock, true);
    this.#bestClock = this.#keptClock;
  }

  bestSource(side: Side): RowSource | undefined {
    return this.#bestClock < 0 ? undefined : this.placed.source(side, this.#bestClock);
  }

  bestRows(side: Side): Promise<Float32Array> | undefined {
    const source = this.bestSource(side);
    return source && gatherRows(source);
  }

  source(side: Side, range?: { rowStart: number; rowEnd: number }): RowSource {
    return this.placed.source(side, this.#keptClock, range);
  }

  async kept(side: Side, range?: { rowStart: number; rowEnd: number }): Promise<Float32Array> {
    return gatherRows(this.source(side, range));
  }
}
