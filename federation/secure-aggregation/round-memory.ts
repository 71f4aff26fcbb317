import { PrivacyError } from '../../common/errors.js';
import { hashOf, label, textField, u32be } from './byte-fields.js';
import type { RoundId } from './messages.js';
import type { RoundTerms } from './round-terms.js';

/** A `RoundMemory` as plain JSON. */
export interface RoundMemoryRecord {
  /** Session, hexadecimal, and the last round of it that was entered, decimal. */
  rounds: [session: string, round: string][];
  /** Hash of what was summed, and hash of the survivors that it was uncovered for. */
  released: [input: string, survivors: string][];
}

/**
 * What a participant remembers from round to round. It must be on disk before the message of the round that changed it
 * leaves: an institution that forgets can be asked again.
 *
 * Two sums of the same inputs over cohorts that differ by one member give that member's input. So what was summed once is
 * summed again for the same survivors only.
 */
export class RoundMemory {
  readonly #rounds: Map<string, string>;
  /** 128 characters for each sum of the run. */
  readonly #released: Map<string, string>;

  constructor({ rounds, released }: RoundMemoryRecord = { rounds: [], released: [] }) {
    this.#rounds = new Map(rounds);
    this.#released = new Map(released);
  }

  get record(): RoundMemoryRecord {
    return { rounds: [...this.#rounds], released: [...this.#released] };
  }

  /** @throws {PrivacyError} `STOA_ROUND_REFUSED`: the round, or a later one, was entered before. */
  enter({ session, round }: RoundId): void {
    const key = hex(session);
    const last = this.#rounds.get(key);
    if (last !== undefined && round <= BigInt(last)) {
      throw new PrivacyError(
        'STOA_ROUND_REFUSED',
        `round ${round} is asked for and round ${last} of the session was entered already; rounds only go on`,
      );
    }
    this.#rounds.set(key, String(round));
  }

  /**
   * The session is no part of what was summed: under a new one the same inputs are the same.
   *
   * @param factorsHash of what the participant computed its input from.
   * @throws {PrivacyError} `STOA_ROUND_REFUSED`: the same inputs were uncovered for other survivors.
   */
  release(terms: RoundTerms, factorsHash: Uint8Array, survivors: readonly number[]): void {
    const input = hex(hashOf([label('input/v1'), textField(terms.purpose), factorsHash]));
    const keys = survivors.map((member) => terms.members[member]!.identityKey);
    const cohort = hex(hashOf([u32be(keys.length), ...keys]));
    const before = this.#released.get(input);
    if (before !== undefined && before !== cohort) {
      throw new PrivacyError(
        'STOA_ROUND_REFUSED',
        'the same sum was uncovered for other survivors before, and the difference would show who is not in both; go on with new item factors',
      );
    }
    this.#released.set(input, cohort);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
