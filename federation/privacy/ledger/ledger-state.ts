// What a ledger's records add up to, and whether one more may follow. Pure: no file, no clock.

import { PrivacyError, StateError } from '../../../common/errors.js';
import { epsilonOf } from '../gaussian-privacy.js';
import { type Adjacency, muOf, muSquaredOf } from '../privacy-loss.js';
import type { BudgetRecord, LedgerRecord, SpendRecord } from './ledger-records.js';

/** What a group, or a run of it, has spent. */
export interface Spent {
  /** Σ 1/σ² of all its releases. */
  readonly muSquared: number;
  /** At the δ of the group's budget. */
  readonly epsilon: number;
  /** Of the budget. */
  readonly epsilonMax: number;
}

/** Runs that may spend of one group: each is one entry of a map that lives as long as the ledger. */
const RUNS_MAX = 100_000;

interface Group {
  budget: BudgetRecord;
  muSquared: number;
  /** By run. */
  runs: Map<string, number>;
}

export class LedgerState {
  readonly #groups = new Map<string, Group>();
  #adjacency: Adjacency | undefined;
  #ledgerId = '';

  /** Of the record that began the ledger. */
  get ledgerId(): string {
    return this.#ledgerId;
  }

  /**
   * Takes a record in. The order is that of the file; a spend that exceeds its budget is taken too, since it happened:
   * the budget may have been lowered since.
   *
   * @throws {StateError} `STOA_RUN_STATE`: it cannot follow those before.
   */
  apply(record: LedgerRecord): void {
    if ((record.kind === 'open') !== (this.#adjacency === undefined)) {
      throw new StateError('STOA_RUN_STATE', 'a ledger begins with one record that opens it');
    }
    if (record.kind === 'open') {
      this.#adjacency = record.adjacency;
      this.#ledgerId = record.ledgerId;
    } else if (record.kind === 'budget') {
      const known = this.#groups.get(record.group);
      if (known === undefined)
        this.#groups.set(record.group, { budget: record, muSquared: 0, runs: new Map() });
      else known.budget = record;
    } else {
      const group = this.#group(record.group);
      const cost = muSquaredOf(record.releases);
      group.muSquared += cost;
      group.runs.set(record.run, (group.runs.get(record.run) ?? 0) + cost);
    }
  }

  /**
   * Refuses a spend that would exceed what the group allows, in all or for the run.
   *
   * @throws {PrivacyError} `STOA_BUDGET`: names the group, the budget and what it would come to.
   */
  requireAffordable({ group: name, run, releases }: SpendRecord): void {
    const group = this.#group(name);
    const cost = muSquaredOf(releases);
    const { epsilon, runEpsilon, delta } = group.budget;
    const ofRun = group.runs.get(run) ?? 0;
    const limits = [
      { what: `group "${name}"`, muSquared: group.muSquared + cost, limit: epsilon },
      { what: `run "${run}" of group "${name}"`, muSquared: ofRun + cost, limit: runEpsilon },
    ];
    for (const { what, muSquared, limit } of limits) {
      const reached = this.#epsilon(muSquared, delta);
      if (reached <= limit) continue;
      throw new PrivacyError(
        'STOA_BUDGET',
        `the round would take ${what} to ε = ${reached.toFixed(4)} at δ = ${delta}, above its budget of ${limit}; nothing was sent`,
        { fields: { group: name, run, epsilon: reached, epsilonMax: limit, delta } },
      );
    }
    if (group.runs.size >= RUNS_MAX && !group.runs.has(run)) {
      throw new PrivacyError(
        'STOA_BUDGET',
        `group "${name}" has taken part in ${RUNS_MAX} runs, the most there may be`,
      );
    }
  }

  /** What a group has spent, or what one run of it has. @throws {PrivacyError} there is no such group. */
  spent(groupName: string, run?: string): Spent {
    const group = this.#group(groupName);
    const { epsilon, runEpsilon, delta } = group.budget;
    const muSquared = run === undefined ? group.muSquared : (group.runs.get(run) ?? 0);
    const epsilonMax = run === undefined ? epsilon : runEpsilon;
    return { muSquared, epsilon: this.#epsilon(muSquared, delta), epsilonMax };
  }

  #epsilon(muSquared: number, delta: number): number {
    return epsilonOf({ mu: muOf(muSquared, this.#adjacency ?? 'replace-one'), delta });
  }

  #group(name: string): Group {
    const group = this.#groups.get(name);
    if (group !== undefined) return group;
    throw new PrivacyError('STOA_BUDGET', `the ledger has no budget for group "${name}"; nothing was sent`, {
      fields: { group: name },
    });
  }
}
