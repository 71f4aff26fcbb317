// The tables of a simulated run in production's own stores, and what a record of them holds.

import { PlacedStepStore } from '../../coordinator/holders/placed-step-store.js';
import { PlacedStore } from '../../coordinator/holders/placed-store.js';
import type { Delivery } from '../../coordinator/parameters/delivery.js';
import { ParameterStore } from '../../coordinator/parameters/parameter-store.js';
import type { StepDelivery } from '../../coordinator/parameters/step-delivery.js';
import { StepExchange } from '../../coordinator/parameters/step-exchange.js';
import { StepStore } from '../../coordinator/parameters/step-store.js';
import { parseRunConfig } from '../../coordinator/plan/run-config.js';
import type { Lease, Phase } from '../../coordinator/schedule/events.js';
import type { SyncClocks } from '../../coordinator/schedule/sync/sync-clocks.js';
import { leadMax } from '../../coordinator/schedule/sync/sync-mode.js';
import { restoreStore, snapshotOf } from '../../coordinator/training/checkpoint.js';
import type { Side } from '../../models/csr.js';
import { packedGramLength } from '../../models/gram.js';
import { gramOfTable, initialItems } from './phase-model.js';
import { clocksOf, FACTORS, RUN_ID, type SimulatedPlan } from './simulated-plan.js';
import type { SimulatedTables } from './simulated-tables.js';

/** What stays when the coordinator dies. */
export interface SimulatedRecord {
  readonly nextPhase: number;
  readonly users: Float32Array;
  readonly items: Float32Array;
  /** Of phases. */
  readonly grams?: Readonly<Record<Side, Float64Array>>;
}

/** Solves whole sides: the calls of `PhaseTraining` without its files. */
export class SimulatedPhases {
  readonly store: ParameterStore;
  readonly #plan: SimulatedPlan;
  #phasesDone: number;

  constructor(plan: SimulatedPlan, record: SimulatedRecord | undefined) {
    this.#plan = plan;
    this.store = new ParameterStore({ ...plan.rows, factors: FACTORS });
    this.#phasesDone = record?.nextPhase ?? 0;
    if (record === undefined) this.#begin();
    else this.#goOn(record);
  }

  get clocks(): Readonly<Record<Side, number>> {
    const { tables } = this.store;
    return { users: tables.clock('users'), items: tables.clock('items') };
  }

  phaseOpened({ side }: Phase): void {
    this.store.beginPhase(side, this.#plan.blocks[side].length);
  }

  accepted(lease: Lease, delivery: Delivery): void {
    this.store.apply(lease.block.index, delivery);
  }

  completed(phase: Phase): void {
    this.store.commitPhase();
    this.#phasesDone = phase.index + 1;
  }

  record(): SimulatedRecord {
    const { sums } = snapshotOf(
      this.store,
      { runId: RUN_ID, plan: '', config: parseRunConfig({}) },
      this.#phasesDone,
    );
    const grams = { users: sums.users!.gram.slice(), items: sums.items!.gram.slice() };
    const { tables } = this.store;
    const users = tables.current('users').slice();
    return { nextPhase: this.#phasesDone, users, items: tables.current('items').slice(), grams };
  }

  #begin(): void {
    const items = initialItems(this.#plan);
    this.store.tables.current('items').set(items);
    this.store.setSums('items', { gram: gramOfTable(items, this.#plan.blocks.items) });
  }

  #goOn({ nextPhase, users, items, grams }: SimulatedRecord): void {
    restoreStore(this.store, {
      clocks: clocksBefore(nextPhase),
      tables: { users, items },
      sums: { users: { gram: grams!.users }, items: { gram: grams!.items } },
    });
  }
}

/** Pushes and pulls: the calls of `StepTraining` without its files. */
export class SimulatedSteps<T> {
  readonly store: StepStore;
  readonly exchange: StepExchange<T>;
  readonly columns: number;
  #phasesDone: number;

  constructor(plan: SimulatedPlan, record: SimulatedRecord | undefined) {
    const { mode, clocksPerPhase } = plan.sync!;
    this.columns = clocksOf(plan);
    this.store = new StepStore({
      users: plan.rows.users,
      rows: plan.rows.items,
      columns: this.columns,
      blocks: plan.blocks.users.length,
      isImmediate: mode.kind === 'asp',
      isAhead: leadMax(mode) > 0,
      mergeRate: () => 0,
    });
    this.exchange = new StepExchange(this.store, plan.blocks.users);
    this.#phasesDone = record?.nextPhase ?? 0;
    if (record !== undefined) {
      this.store.users.set(record.users);
      this.store.items.table.set(record.items);
    }
    this.store.items.setClock(this.#phasesDone * clocksPerPhase);
    this.store.keep();
  }

  get clocks(): Readonly<Record<Side, number>> {
    return { users: this.#phasesDone, items: this.store.items.clock };
  }

  phaseOpened(): void {
    this.exchange.beginEpoch();
  }

  accepted(clocks: SyncClocks, delivery: StepDelivery): void {
    this.exchange.apply(clocks, delivery);
  }

  completed(phase: Phase): void {
    this.store.keep();
    this.#phasesDone = phase.index + 1;
  }

  record(): SimulatedRecord {
    const { store } = this;
    const nextPhase = this.#phasesDone;
    return { nextPhase, users: store.kept('users').slice(), items: store.kept('items').slice() };
  }
}

/** As `SimulatedPhases`, with the rows in parameter processes: the calls of `PlacedStore` that wait are made here. */
export class SimulatedPlacedPhases {
  readonly store: PlacedStore;
  readonly #plan: SimulatedPlan;
  readonly #tables: SimulatedTables;
  #phasesDone: number;

  constructor(plan: SimulatedPlan, record: SimulatedRecord | undefined, tables: SimulatedTables) {
    this.#plan = plan;
    this.#tables = tables;
    this.#phasesDone = record?.nextPhase ?? 0;
    this.store = new PlacedStore(tables.forStore, clocksBefore(this.#phasesDone));
    const none = new Float64Array(packedGramLength(FACTORS));
    const first = { users: none, items: gramOfTable(initialItems(plan), plan.blocks.items) };
    for (const side of ['users', 'items'] as const) {
      this.store.setSums(side, { gram: record?.grams?.[side] ?? first[side] });
    }
  }

  get clocks(): Readonly<Record<Side, number>> {
    return { users: this.store.clock('users'), items: this.store.clock('items') };
  }

  get phasesDone(): number {
    return this.#phasesDone;
  }

  phaseOpened({ side }: Phase): void {
    this.store.beginPhase(side, this.#plan.blocks[side].length);
  }

  accepted(lease: Lease, delivery: Delivery): void {
    this.store.apply(lease.block.index, delivery, lease.leaseId);
  }

  complete(phase: Phase, then: () => void): void {
    const { side, clock } = this.store.next;
    this.#tables.whenCommitted(side, clock, () => {
      this.store.committed();
      this.#phasesDone = phase.index + 1;
      then();
    });
  }

  /** What a record has besides its rows. */
  facts(): Omit<SimulatedRecord, Side> {
    const grams = { users: this.store.sums('users').gram, items: this.store.sums('items').gram };
    return { nextPhase: this.#phasesDone, grams };
  }
}

/** As `SimulatedSteps`, with the rows in parameter processes. */
export class SimulatedPlacedSteps<T> {
  readonly store: PlacedStepStore;
  readonly exchange: StepExchange<T>;
  readonly columns: number;
  readonly #tables: SimulatedTables;
  readonly #clocksPerPhase: number;
  #phasesDone: number;

  constructor(plan: SimulatedPlan, record: SimulatedRecord | undefined, tables: SimulatedTables) {
    this.#tables = tables;
    this.#clocksPerPhase = plan.sync!.clocksPerPhase;
    this.#phasesDone = record?.nextPhase ?? 0;
    this.columns = clocksOf(plan);
    this.store = new PlacedStepStore(tables.forStore, this.#phasesDone * this.#clocksPerPhase, () => 0);
    this.exchange = new StepExchange(this.store, plan.blocks.users);
  }

  get clocks(): Readonly<Record<Side, number>> {
    const kept = this.#phasesDone * this.#clocksPerPhase;
    return { users: kept, items: kept };
  }

  get phasesDone(): number {
    return this.#phasesDone;
  }

  phaseOpened(): void {
    this.exchange.beginEpoch();
  }

  accepted(clocks: SyncClocks, delivery: StepDelivery): void {
    this.exchange.apply(clocks, delivery);
  }

  /** Has the rows kept, side after side. */
  complete(phase: Phase, then: () => void): void {
    const clock = (phase.index + 1) * this.#clocksPerPhase;
    keepSteps(this.#tables, clock, () => {
      this.#phasesDone = phase.index + 1;
      then();
    });
  }

  facts(): Omit<SimulatedRecord, Side> {
    return { nextPhase: this.#phasesDone };
  }
}

/** Has parameter processes keep both sides as they are at a clock. */
export function keepSteps(tables: SimulatedTables, clock: number, then: () => void): void {
  tables.whenCommitted('users', clock, () => tables.whenCommitted('items', clock, then));
}

/** Clocks of the sides before a phase of a run that solves whole sides. */
export function clocksBefore(phase: number): Record<Side, number> {
  return { users: Math.ceil(phase / 2), items: Math.floor(phase / 2) };
}
