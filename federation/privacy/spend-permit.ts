import { PrivacyError } from '../../common/errors.js';
import type { SpendRecord } from './ledger/ledger-records.js';

/**
 * The right to send what a ledger has recorded as spent, each release once and each of its pieces once. Lives in memory
 * only: what was spent and not sent before a crash stays spent, since nobody knows how far the sending went.
 */
export class SpendPermit {
  readonly #left = new Map<string, Set<number>>();
  readonly #noiseMultipliers = new Map<string, number>();

  /** For the ledger, after the record is on disk. @param pieces of each release that has more than one. */
  constructor(spent: SpendRecord, pieces: ReadonlyMap<string, number> = new Map()) {
    for (const { name, noiseMultiplier } of spent.releases) {
      this.#left.set(name, new Set(Array.from({ length: pieces.get(name) ?? 1 }, (_, piece) => piece)));
      this.#noiseMultipliers.set(name, noiseMultiplier);
    }
  }

  /**
   * Takes a release, or one piece of it, out of the permit.
   *
   * @returns the noise multiplier that was paid for.
   * @throws {PrivacyError} `STOA_BUDGET`: it was not paid for, or it was taken before.
   */
  take(name: string, piece = 0): number {
    const left = this.#left.get(name);
    if (left?.delete(piece) === true) return this.#noiseMultipliers.get(name)!;
    const why = left === undefined ? 'is in no record of the ledger' : 'was sent before';
    throw new PrivacyError('STOA_BUDGET', `piece ${piece} of "${name}" ${why}; nothing was sent`, {
      fields: { release: name, piece },
    });
  }
}
