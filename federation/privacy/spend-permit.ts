import { PrivacyError } from '../../common/errors.js';
import type { SpendRecord } from './ledger/ledger-records.js';

/**
 * The right to send what a ledger has recorded as spent, each release once. Lives in memory only: what was spent and not
 * sent before a crash stays spent, since nobody knows how far the sending went.
 */
export class SpendPermit {
  readonly #left = new Map<string, number>();
  readonly #known: ReadonlySet<string>;

  /** For the ledger, after the record is on disk. */
  constructor({ releases }: Pick<SpendRecord, 'releases'>) {
    for (const { name, noiseMultiplier } of releases) this.#left.set(name, noiseMultiplier);
    this.#known = new Set(this.#left.keys());
  }

  /** Names of releases that were paid for and not taken yet. */
  get left(): readonly string[] {
    return [...this.#left.keys()];
  }

  /**
   * Takes a release out of the permit.
   *
   * @returns the noise multiplier that was paid for.
   * @throws {PrivacyError} `STOA_BUDGET`: it was not paid for, or it was taken before.
   */
  take(name: string): number {
    const noiseMultiplier = this.#left.get(name);
    if (noiseMultiplier !== undefined) {
      this.#left.delete(name);
      return noiseMultiplier;
    }
    const why = this.#known.has(name) ? 'was sent before' : 'is in no record of the ledger';
    throw new PrivacyError('STOA_BUDGET', `"${name}" ${why}; nothing was sent`, {
      fields: { release: name },
    });
  }
}
