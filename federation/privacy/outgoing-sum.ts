import { PrivacyError } from '../../common/errors.js';
import { toGrid } from './fixed-point.js';
import { type LearnerBounds, sensitivitiesOf } from './learner-bounds.js';
import { addNoise, noiseShareSteps } from './noise-share.js';
import type { PlannedRelease } from './planned-releases.js';
import type { RandomWords } from './random-words.js';
import type { SpendPermit } from './spend-permit.js';

export interface OutgoingSumOptions {
  readonly permit: SpendPermit;
  readonly bounds: LearnerBounds;
  /** h: see `NoiseSetting`. */
  readonly honestMin: number;
  readonly fractionBits: number;
  /** Cryptographic: `chachaWords`. */
  readonly words: RandomWords;
}

/**
 * One release on its way out, chunk by chunk: the only way from a sum over learners to what may be masked and sent. It
 * needs a permit, uses it up, and noises every entry of the sum once, in order. A chunk that must be sent again is sent
 * again as it was: noise drawn anew for the same entry would be another release.
 */
export class OutgoingSum {
  readonly #release: PlannedRelease;
  readonly #options: OutgoingSumOptions;
  readonly #share: number;
  /** Entries that have left: [0, next) of the release's coordinates. */
  #next = 0;

  /**
   * @throws {PrivacyError} `STOA_BUDGET`: the release was not paid for, or left before.
   * @throws {UsageError} the grid is too coarse for the noise.
   */
  constructor(release: PlannedRelease, options: OutgoingSumOptions) {
    const { permit, bounds, honestMin, fractionBits } = options;
    const sensitivity = sensitivitiesOf(bounds)[release.kind];
    const { coordinates } = release;
    this.#share = noiseShareSteps({
      sensitivity,
      noiseMultiplier: permit.take(release.name),
      honestMin,
      fractionBits,
      coordinates,
    });
    this.#release = release;
    this.#options = options;
  }

  /** Entries that have not left yet. */
  get entriesLeft(): number {
    return this.#release.coordinates - this.#next;
  }

  /**
   * The next entries of the sum, rounded to the grid and noised.
   *
   * @param values of learners that keep the bounds; packed triangles with √2 off the diagonal (`scaleOffDiagonals`).
   * @returns whole grid steps, each below 2^53.
   * @throws {PrivacyError} `STOA_BUDGET`: more entries than the release has.
   * @throws {NumericError} `STOA_NUMERIC_NOT_FINITE`: a value does not fit the grid; nothing of the chunk counts as sent.
   */
  noised(values: Float64Array): Float64Array {
    const { name, coordinates } = this.#release;
    if (values.length > this.entriesLeft) {
      throw new PrivacyError(
        'STOA_BUDGET',
        `"${name}" has ${coordinates} entries, more were to be sent; nothing was sent`,
        { fields: { release: name, entries: coordinates } },
      );
    }
    const grid = toGrid(values, this.#options.fractionBits);
    addNoise(grid, this.#share, this.#options.words);
    this.#next += values.length;
    return grid;
  }
}
