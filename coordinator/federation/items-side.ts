// The items' side of a run at its coordinator: what participants are asked for, and the items' factors from their sums.

import { assert } from '../../common/errors.js';
import { type Census, censusOf } from '../../federation/ials/census.js';
import { ItemSweep } from '../../federation/ials/item-sweep.js';
import { projectPositive } from '../../federation/ials/project-positive.js';
import { scaleOffDiagonals } from '../../federation/privacy/fixed-point.js';
import type { FederatedPlan } from '../../federation/protocol/federated-plan.js';
import { tableHash } from '../../federation/protocol/input-hash.js';
import { noisedCensus, sumsFromGram } from '../../federation/protocol/private-run.js';
import type { Segment } from '../../federation/protocol/round-sums.js';
import type { IalsObjective } from '../../models/device.js';
import { initFactors } from '../../models/ials/init-factors.js';

export class ItemsSide {
  readonly #plan: FederatedPlan;
  readonly #items: number;
  #factors: Float32Array;
  #hash: Uint8Array;
  #census: Census | undefined;
  #sweep: ItemSweep | undefined;
  /** G of the sweep, with privacy: the items' matrices are made of it. */
  #gram: Float64Array | undefined;

  /** @param o `seed` and `stdDev` of the items' initial factors. */
  constructor(plan: FederatedPlan, items: number, o: { seed: number; stdDev: number }) {
    this.#plan = plan;
    this.#items = items;
    this.#factors = new Float32Array(items * plan.factors);
    const { factors } = plan;
    initFactors(this.#factors, { ...o, side: 'items', rowStart: 0, rowEnd: items, factors });
    this.#hash = tableHash(this.#factors);
  }

  /** f32 [items, K], as participants have it. */
  get factors(): Float32Array {
    return this.#factors;
  }

  get factorsHash(): Uint8Array {
    return this.#hash;
  }

  /** What participants multiply now, if anything: stays until `endRound`. */
  get operand(): Float32Array | undefined {
    return this.#plan.privacy === undefined ? this.#sweep?.operand : undefined;
  }

  /** Begins a sweep where none is in progress. */
  enter(sweep: number): void {
    if (sweep < 0 || this.#sweep !== undefined) return;
    this.#sweep = new ItemSweep(
      {
        objective: itemObjective(this.#plan),
        solver: this.#plan.solver,
        items: this.#items,
        factors: this.#plan.factors,
        census: this.#census,
      },
      this.#factors,
    );
  }

  /** @param values of one segment, summed; may be changed. */
  take(segment: Segment, values: Float64Array): void {
    const { privacy, factors } = this.#plan;
    if (segment.kind === 'census') {
      const census = censusOf(values);
      this.#census = privacy === undefined ? census : noisedCensus(census, this.#plan);
      return;
    }
    const sweep = this.#sweep;
    assert(sweep !== undefined, 'a sweep is in progress');
    if (segment.kind === 'gram') {
      if (privacy !== undefined) {
        scaleOffDiagonals(values, factors, Math.SQRT1_2);
        projectPositive(values, factors);
        this.#gram = values;
      }
      sweep.receiveGram(values);
      return;
    }
    const { itemStart } = segment.chunk;
    const sums =
      privacy === undefined
        ? values
        : sumsFromGram(values, { gram: this.#gram!, census: this.#census!, itemStart, factors });
    sweep.receive(segment.chunk, sums);
  }

  /** All segments of a round are in. @returns true where a sweep ended with it. */
  endRound(sweep: number): boolean {
    if (sweep < 0) return false;
    this.#sweep!.advance();
    if (this.#sweep!.exchange !== undefined) return false;
    this.#adopt();
    return true;
  }

  /** Ends the sweep in progress with what it has. */
  cut(): void {
    this.#sweep!.cut();
    this.#adopt();
  }

  #adopt(): void {
    this.#factors = this.#sweep!.factors;
    this.#hash = tableHash(this.#factors);
    this.#sweep = undefined;
  }
}

/**
 * With privacy learners weigh less than 1 an interaction; the weight of what was not seen shrinks with them. Half is what
 * `npm run bench:privacy` found.
 */
function itemObjective({ objective, privacy }: FederatedPlan): IalsObjective {
  return privacy === undefined ? objective : { ...objective, alpha0: objective.alpha0 / 2 };
}
