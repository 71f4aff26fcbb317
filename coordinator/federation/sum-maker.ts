// The content of a run's rounds: what participants are given, what comes in, and what the coordinator makes of the sums.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { assert, RoundError } from '../../common/errors.js';
import { Slots } from '../../common/slots.js';
import type { Catalogue } from '../../federation/catalogue/catalogue.js';
import type { FederatedPlan } from '../../federation/protocol/federated-plan.js';
import { tableHash } from '../../federation/protocol/input-hash.js';
import { ringOf } from '../../federation/protocol/sum-ring.js';
import type { RoundKey } from '../../federation/rounds/events.js';
import type { RoundStep } from '../../federation/rounds/round-plan.js';
import type { Ring } from '../../federation/secure-aggregation/ring.js';
import type { CohortMember } from '../../federation/secure-aggregation/round-terms.js';
import { ItemsSide } from './items-side.js';
import { openIntake } from './open-intake.js';
import type { RoundIntake } from './round-intake.js';

export interface SumMakerOptions {
  plan: FederatedPlan;
  session: Uint8Array;
  catalogue: Catalogue;
  /** Of the items' initial factors. */
  seed: number;
  stdDev: number;
  /** For deliveries. */
  spoolDir: string;
}

const NOTHING = new Uint8Array(0);

export class SumMaker {
  readonly #o: SumMakerOptions;
  readonly #ring: Ring;
  readonly #side: ItemsSide;
  #intake: RoundIntake | undefined;
  /** The step that participants are asked for. */
  #step: RoundStep | undefined;
  #operandHash: Uint8Array = NOTHING;
  #slots = new Slots(1);

  constructor(options: SumMakerOptions) {
    this.#o = options;
    this.#ring = ringOf(options.plan);
    this.#side = new ItemsSide(options.plan, options.catalogue.names.length, options);
  }

  get catalogue(): Catalogue {
    return this.#o.catalogue;
  }

  /** f32 [items, K]. */
  get items(): Float32Array {
    return this.#side.factors;
  }

  get itemsHash(): Uint8Array {
    return this.#side.factorsHash;
  }

  /** Of what is multiplied in the round in progress; empty where nothing is. */
  get operandHash(): Uint8Array {
    return this.#operandHash;
  }

  get step(): RoundStep | undefined {
    return this.#step;
  }

  get intake(): RoundIntake | undefined {
    return this.#intake;
  }

  /** So many deliveries come in at a time. */
  get slots(): Slots {
    return this.#slots;
  }

  /** Begins a round: participants of the cohort are asked for its first step next. */
  begin(key: RoundKey, cohort: readonly CohortMember[]): void {
    const { plan, session, catalogue, spoolDir } = this.#o;
    const side = this.#side;
    side.enter(key.sweep);
    const isCensus = key.sweep < 0;
    const { operand } = side;
    this.#operandHash = operand === undefined || isCensus ? NOTHING : tableHash(operand);
    this.#intake = openIntake({
      key,
      cohort,
      plan,
      session,
      ring: this.#ring,
      catalogue,
      itemsHash: isCensus ? undefined : this.itemsHash,
      operandHash: this.#operandHash.length === 0 ? undefined : this.#operandHash,
      spoolDir,
    });
    this.#slots = new Slots(this.#intake.deliveriesMax);
  }

  /** Goes on to a step. @throws {RoundError} what came in the step before does not fit together. */
  enter(step: RoundStep): void {
    this.#intake!.enter(step);
    this.#step = step;
  }

  /** Makes the sum and what it is for. @returns true where a sweep ended with it. */
  async complete({ sweep }: RoundKey, contributors: readonly string[]): Promise<boolean> {
    const intake = this.#intake;
    assert(intake !== undefined, 'a round is in progress');
    this.#step = undefined;
    intake.uncover();
    for (const segment of intake.sums.segments) {
      this.#side.take(segment, await intake.next(segment.length, contributors));
      // Calls are answered between pieces.
      await nextTurn();
    }
    await this.drop();
    return this.#side.endRound(sweep);
  }

  /** Throws away what came in. */
  async drop(): Promise<void> {
    const intake = this.#intake;
    this.#intake = undefined;
    this.#step = undefined;
    await intake?.discard();
  }

  /** Ends the sweep in progress with what it has. */
  cut(): void {
    this.#side.cut();
  }

  /** The table of a hash. @throws {RoundError} `STOA_ROUND_MESSAGE`: the run has moved on. */
  table(which: 'items' | 'operand', hash: Uint8Array): Float32Array {
    const isItems = which === 'items';
    const table = isItems ? this.#side.factors : this.#side.operand;
    const current = isItems ? this.itemsHash : this.#operandHash;
    if (table !== undefined && Buffer.from(hash).equals(current)) return table;
    throw new RoundError(
      'STOA_ROUND_MESSAGE',
      'the table is no longer that of the round in progress; ask for the next task',
    );
  }
}
