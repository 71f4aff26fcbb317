// The server's side of a sweep: what it asks the participants for, and the items' new factors from the sums it gets.

import { assert, NumericError, ShapeError } from '../../common/errors.js';
import type { IalsObjective, SolverOptions } from '../../models/device.js';
import { BlockItems } from './block-items.js';
import { type Census, needsCensus } from './census.js';
import { ConjugateItems } from './conjugate-items.js';
import { ExactItems } from './exact-items.js';
import { type Exchange, exchangesOfSweep, numbersPerItem } from './exchange.js';
import type { ItemChunk } from './item-chunks.js';
import type { ItemSolve, SolveArrays } from './item-solve.js';
import { ItemSystems } from './item-systems.js';

export interface SweepOptions {
  readonly objective: IalsObjective;
  readonly solver: SolverOptions;
  readonly items: number;
  /** K. */
  readonly factors: number;
  /** Needed where `needsCensus`. */
  readonly census?: Census;
  /**
   * Make every matrix of sums positive semi-definite before it is used: for sums that noise was added to.
   * @default false
   */
  readonly isProjected?: boolean;
  /**
   * The greatest weight w an interaction may have: what a `cg` sweep that is cut short before its first step needs, see
   * `cut`. @default that of the objective with `binary` weights; none with `value`
   */
  readonly weightMax?: number;
}

/** What a sweep that was interrupted goes on from; arrays are the sweep's own, to be written down at once. */
export interface SweepState {
  /** Exchanges that are over. */
  readonly done: number;
  readonly gram: Float64Array;
  /** Tables of the solver, by name: f32 or f64, [items, K] or [items]. */
  readonly arrays: SolveArrays;
}

/**
 * One sweep at the server. For each exchange: `receiveGram` (first exchange only), then `receive` for every chunk, in
 * any order, each once; then `advance`. After the last one, or after `cut`, `factors` are the items' new factors.
 *
 * Same sums, same bits, whatever the chunks. Memory at K = 128 and 100,000 items: 51 MB for `cholesky`, 102 MB for
 * `ials++`, 358 MB for `cg`, besides one chunk.
 */
export class ItemSweep {
  readonly #options: SweepOptions;
  readonly #exchanges: readonly Exchange[];
  readonly #systems: ItemSystems;
  readonly #solve: ItemSolve;
  #done = 0;
  /** Items of the exchange in progress that are in, by their first item: chunks may not come twice. */
  #received = new Map<number, number>();
  #isOver = false;

  /**
   * @param factors the items' factors when the sweep begins: f32 [items, K], not changed.
   * @param resumed what `state` was after some exchange of the same sweep.
   * @throws {ShapeError} a length disagrees, or the census is missing.
   */
  constructor(options: SweepOptions, factors: Float32Array, resumed?: SweepState) {
    this.#options = options;
    expectLength('the items’ factors', factors.length, options.items * options.factors);
    const { census } = options;
    if (census !== undefined) expectLength('the census', census.itemCounts.length, options.items);
    if (census === undefined && needsCensus(options.objective)) {
      throw new ShapeError('STOA_SHAPE', 'with ν ≠ 0 the items’ penalties need a census of the cohort', {
        fields: { field: 'ials.nu' },
      });
    }
    this.#exchanges = exchangesOfSweep(options.solver, options.factors);
    this.#systems = new ItemSystems(options);
    this.#solve = itemSolveOf(options, this.#systems, factors, resumed?.done ? resumed.arrays : undefined);
    if (resumed === undefined) return;
    this.#done = resumed.done;
    this.#isOver = this.#done === this.#exchanges.length;
    this.#systems.setGram(resumed.gram);
  }

  /** What participants have to sum now; undefined when the sweep is over. */
  get exchange(): Exchange | undefined {
    return this.#isOver ? undefined : this.#exchanges[this.#done];
  }

  /** Exchanges that are over. */
  get done(): number {
    return this.#done;
  }

  /** What participants multiply in the exchange in progress: see `ItemSumsInput.operand`. Stays until `advance`. */
  get operand(): Float32Array | undefined {
    return this.exchange === undefined || this.exchange.kind === 'full' ? undefined : this.#solve.operand;
  }

  /** The items' factors, f32 [items, K]: the new ones once the sweep is over. */
  get factors(): Float32Array {
    assert(this.#isOver, 'the sweep is over');
    return this.#solve.factors;
  }

  /** What to write down after `advance`, so that a restart can go on with the next exchange. */
  get state(): SweepState {
    assert(this.#received.size === 0, 'no exchange is half received');
    return { done: this.#done, gram: this.#systems.gram, arrays: this.#solve.arrays };
  }

  /**
   * Takes the sum of the users' Grams, packed. With the first exchange, before its chunks.
   *
   * @throws {ShapeError} its length disagrees. @throws {NumericError} `STOA_NUMERIC_NOT_FINITE`.
   */
  receiveGram(sum: Float64Array): void {
    assert(this.#done === 0 && !this.#isOver, 'the Gram comes with the first exchange');
    this.#systems.receiveGram(sum, this.#options.isProjected === true);
  }

  /**
   * Takes the sums of one chunk over all participants of the exchange.
   *
   * @param sums [items of the chunk × numbersPerItem]; may be changed.
   * @throws {ShapeError} its length disagrees.
   * @throws {NumericError} `STOA_NUMERIC_NOT_FINITE`, `STOA_NUMERIC_PIVOT`: names the item. The sweep is unusable then.
   */
  receive({ itemStart, itemEnd }: ItemChunk, sums: Float64Array): void {
    const { exchange } = this;
    assert(
      exchange !== undefined && this.#systems.hasGram,
      'an exchange is in progress and the Gram is there',
    );
    assert(!this.#received.has(itemStart), `items from ${itemStart} on come once in an exchange`);
    const width = numbersPerItem(exchange, this.#options.factors);
    expectLength('a chunk of sums', sums.length, (itemEnd - itemStart) * width);
    expectFinite(sums, itemStart, width);
    for (let item = itemStart, at = 0; item < itemEnd; item++, at += width) {
      this.#solve.receive(exchange, item, sums.subarray(at, at + width));
    }
    this.#received.set(itemStart, itemEnd);
  }

  /** Ends the exchange in progress: all its chunks are in. */
  advance(): void {
    assert(this.exchange !== undefined, 'an exchange is in progress');
    let items = 0;
    for (const [start, end] of this.#received) items += end - start;
    assert(items === this.#options.items, `${items} of ${this.#options.items} items are in`);
    this.#solve.advance(this.exchange!);
    this.#received = new Map();
    this.#done++;
    if (this.#done === this.#exchanges.length) this.#isOver = true;
  }

  /**
   * Ends the sweep before its last exchange, between two exchanges: a participant is gone, and sums over the others
   * would not fit those that came before. What was gained so far stays: items of `ials++` blocks, steps of `cg`. A `cg`
   * sweep without a step makes one that needs no more sums: A_i is at most w_max·G, so that
   *
   *   y_i += ((s + w_max) G + λ_i I)⁻¹ (b_i − (s·G + A_i + λ_i I) y_i)
   *
   * never raises the loss over the cohort (a bound from above that touches it is minimised). So no two cohorts are ever
   * asked for the same sums of the same items, which would show what the participants had that one of them lacks.
   * Source: Lange, Hunter, Yang, "Optimization transfer using surrogate objective functions", 2000, on why it descends.
   */
  cut(): void {
    assert(this.#received.size === 0, 'a sweep is cut between exchanges');
    if (this.#isOver) return;
    if (this.#done > 0) this.#solve.cut(this.#done);
    this.#isOver = true;
  }
}

function itemSolveOf(
  o: SweepOptions,
  systems: ItemSystems,
  factors: Float32Array,
  resumed: SolveArrays | undefined,
): ItemSolve {
  const isProjected = o.isProjected === true;
  switch (o.solver.name) {
    case 'cholesky':
      return new ExactItems(systems, factors, { isProjected }, resumed);
    case 'ials++':
      return new BlockItems(systems, factors, { isProjected }, resumed);
    case 'cg':
      return new ConjugateItems(systems, factors, resumed);
  }
}

function expectFinite(sums: Float64Array, itemStart: number, width: number): void {
  for (let at = 0; at < sums.length; at++) {
    if (Number.isFinite(sums[at])) continue;
    const item = itemStart + Math.floor(at / width);
    throw new NumericError('STOA_NUMERIC_NOT_FINITE', `a sum of item ${item} is ${sums[at]}`, {
      fields: { row: item },
    });
  }
}

function expectLength(what: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new ShapeError('STOA_SHAPE', `${what} has length ${found} where ${expected} was expected`, {
    fields: { found, expected },
  });
}
