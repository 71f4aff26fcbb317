import { randomBytes } from 'node:crypto';
import { NotFoundError, PrivacyError } from '../../common/errors.js';
import { EpsilonLedger } from '../../federation/privacy/ledger/epsilon-ledger.js';
import type { PlannedRelease } from '../../federation/privacy/planned-releases.js';
import type { SpendPermit } from '../../federation/privacy/spend-permit.js';
import type { PrivacyTerms } from '../../federation/protocol/federated-plan.js';
import type { ParticipantPolicy } from './policy.js';

/** All learners of a participant have one budget. */
const GROUP = 'learners';

/** The ε-ledger of a participant, for one run. */
export class PrivacyPurse {
  readonly #ledger: EpsilonLedger;
  readonly #run: string;

  private constructor(ledger: EpsilonLedger, run: string) {
    this.#ledger = ledger;
    this.#run = run;
  }

  /**
   * Opens the ledger, or begins one with the policy's budget.
   *
   * @throws {CorruptError} `STOA_LEDGER_DAMAGED`; {PrivacyError} `STOA_BUDGET`: the ledger is of another adjacency or δ.
   */
  static async open(
    dir: string,
    { run, privacy, policy }: { run: string; privacy: PrivacyTerms; policy: ParticipantPolicy },
  ): Promise<PrivacyPurse> {
    const now = { now: () => new Date() };
    const { epsilon_max: epsilon, epsilon_run_max: runEpsilon } = policy;
    const budget = { group: GROUP, epsilon, runEpsilon, delta: privacy.delta };
    try {
      const ledger = await EpsilonLedger.open(dir, now);
      const { epsilonMax } = ledger.spent(GROUP);
      // A policy that changed is a new line of the ledger; what was spent stays spent.
      if (epsilonMax !== epsilon) await ledger.setBudget(budget);
      return new PrivacyPurse(ledger, run);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
    const ledgerId = randomBytes(8).toString('hex');
    const { adjacency } = privacy;
    return new PrivacyPurse(
      await EpsilonLedger.create(dir, { ledgerId, adjacency, budgets: [budget] }, now),
      run,
    );
  }

  /** ε of the run so far. */
  get epsilon(): number {
    return this.#ledger.spent(GROUP, this.#run).epsilon;
  }

  /** Pays for releases: on disk when it resolves. @throws {PrivacyError} `STOA_BUDGET`: nothing was sent. */
  async spend(
    round: string,
    releases: readonly PlannedRelease[],
  ): Promise<{ permit: SpendPermit; epsilon: number }> {
    if (releases.length === 0)
      throw new PrivacyError('STOA_BUDGET', `${round} releases nothing that was planned`);
    const permit = await this.#ledger.spend({ group: GROUP, run: this.#run, round, releases });
    return { permit, epsilon: this.epsilon };
  }

  close(): Promise<void> {
    return this.#ledger.close();
  }
}
