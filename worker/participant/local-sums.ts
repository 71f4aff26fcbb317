// What a participant computes for a round: its users' factors, and sums over them, piece by piece.

import { transpose } from '../../datasets/csr/transpose.js';
import { censusSums } from '../../federation/ials/census.js';
import { solveUsers } from '../../federation/ials/solve-users.js';
import { sumItems } from '../../federation/ials/sum-items.js';
import { boundWeights, clipRows, countShares } from '../../federation/privacy/bound-learners.js';
import { chachaWords } from '../../federation/privacy/chacha-words.js';
import { fromGrid, scaleOffDiagonals } from '../../federation/privacy/fixed-point.js';
import { OutgoingSum } from '../../federation/privacy/outgoing-sum.js';
import type { PlannedRelease } from '../../federation/privacy/planned-releases.js';
import type { RandomWords } from '../../federation/privacy/random-words.js';
import type { SpendPermit } from '../../federation/privacy/spend-permit.js';
import type { FederatedPlan } from '../../federation/protocol/federated-plan.js';
import { learnerBounds, releasesOfRound, runReleases } from '../../federation/protocol/private-run.js';
import type { Segment } from '../../federation/protocol/round-sums.js';
import { NOISE_FRACTION_BITS } from '../../federation/protocol/sum-ring.js';
import type { Csr } from '../../models/csr.js';
import type { ComputeDevice, FactorTable, IalsObjective } from '../../models/device.js';
import { packedGramOf } from '../../models/gram.js';

export interface LocalSumsOptions {
  plan: FederatedPlan;
  /** Columns are the catalogue's items. */
  byUser: Csr;
  byItem: Csr;
  device: ComputeDevice;
}

export class LocalSums {
  readonly #o: LocalSumsOptions;
  /** f32 [users, K], exact: they stay here. */
  readonly users: Float32Array;
  /** What the sums are over: the same, or with privacy shortened to the agreed norm. */
  #summed: Float32Array;
  /** The same on the device, where it sums; never with privacy, whose bounds are those of sums in f64. */
  #table: FactorTable | undefined;
  #gram: Float64Array = new Float64Array(0);
  /** Which items the users were solved from. */
  #solvedFrom = '';
  readonly #releases: readonly PlannedRelease[];
  /** With privacy: interactions with the weights that bounds allow. */
  readonly #weighted: Csr;
  readonly #objective: IalsObjective;
  readonly #noise: RandomWords | undefined;
  #outgoing = new Map<string, OutgoingSum>();

  constructor(options: LocalSumsOptions) {
    this.#o = options;
    const { plan, byUser, byItem } = options;
    this.users = new Float32Array(byUser.rows * plan.factors);
    this.#summed = this.users;
    const { privacy, objective } = plan;
    if (privacy === undefined) {
      this.#releases = [];
      this.#weighted = byItem;
      this.#objective = objective;
      return;
    }
    this.#releases = runReleases(plan, byUser.cols);
    this.#weighted = transpose(boundWeights(byUser, learnerBounds(privacy))).csr;
    this.#objective = { ...objective, weights: 'value', alpha: 1 };
    this.#noise = chachaWords();
  }

  /** What leaves in a round and is paid for; nothing without privacy. */
  releases(sweep: number): PlannedRelease[] {
    return releasesOfRound(this.#releases, sweep);
  }

  /** Solves the users from the items, once for the same items. @param itemsHash tells them from others. */
  async solve(items: Float32Array, itemsHash: string, signal: AbortSignal): Promise<void> {
    if (this.#solvedFrom === itemsHash) return;
    const { plan, byUser, device } = this.#o;
    const { factors, objective, solver, privacy } = plan;
    this.#solvedFrom = '';
    const task = { byUser, items, factors, objective, solver, signal };
    this.#gram = await solveUsers(device, task, this.users);
    if (privacy !== undefined) {
      this.#summed = this.users.slice();
      clipRows(this.#summed, factors, privacy.rowNormMax);
      this.#gram = packedGramOf(this.#summed, byUser.rows, factors);
      scaleOffDiagonals(this.#gram, factors, Math.SQRT2);
    } else if (device.sumRows !== undefined) {
      this.#table ??= await device.createTable(byUser.rows, factors);
      await device.write(this.#table, 0, this.users);
    }
    this.#solvedFrom = itemsHash;
  }

  /** Begins a round with privacy: what was paid for may leave, once. */
  pay(permit: SpendPermit, sweep: number): void {
    const privacy = this.#o.plan.privacy!;
    const options = {
      permit,
      bounds: learnerBounds(privacy),
      honestMin: privacy.honestMin,
      fractionBits: NOISE_FRACTION_BITS,
      words: this.#noise!,
    };
    const outgoing = this.releases(sweep).map(
      (release) => [release.kind, new OutgoingSum(release, options)] as const,
    );
    this.#outgoing = new Map(outgoing);
  }

  /** The numbers of a segment, as they may be masked and sent. @param o `operand`: what is multiplied, where something is. */
  async segment(
    segment: Segment,
    { operand, signal }: { operand?: Float32Array; signal?: AbortSignal },
  ): Promise<Float64Array> {
    switch (segment.kind) {
      case 'census':
        return this.#census();
      case 'gram':
        return this.#noised('gram', this.#gram);
      case 'items': {
        const { exchange, chunk } = segment;
        const { plan, device } = this.#o;
        const values = await sumItems(
          {
            device,
            fixed: this.#table,
            byItem: this.#weighted,
            users: this.#summed,
            factors: plan.factors,
            objective: this.#objective,
            exchange,
            operand: operand ?? this.#zeros(),
            signal,
          },
          chunk,
        );
        return this.#noised('targets', values);
      }
    }
  }

  #census(): Float64Array {
    const { plan, byUser, byItem } = this.#o;
    if (plan.privacy === undefined) return censusSums(byItem);
    const sums = new Float64Array(byUser.cols + 1);
    const counts = sums.subarray(0, byUser.cols);
    const shares = countShares(byUser, plan.privacy.rowsMax);
    for (let user = 0; user < byUser.rows; user++) {
      for (let e = byUser.ptr[user]!; e < byUser.ptr[user + 1]!; e++) {
        const item = byUser.idx[e]!;
        counts[item] = counts[item]! + shares[user]!;
      }
    }
    sums.set(this.#noised('itemCounts', counts));
    sums.set(this.#noised('learnerCount', Float64Array.of(byUser.rows)), byUser.cols);
    return sums;
  }

  #noised(kind: string, values: Float64Array): Float64Array {
    if (this.#o.plan.privacy === undefined) return values;
    return fromGrid(this.#outgoing.get(kind)!.noised(values), NOISE_FRACTION_BITS);
  }

  /** b_i is the residual over items of zero. */
  #zeros(): Float32Array {
    this.#none ??= new Float32Array(this.#o.byUser.cols * this.#o.plan.factors);
    return this.#none;
  }
  #none: Float32Array | undefined;
}
