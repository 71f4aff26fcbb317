// The server of one masked sum: a state machine without transport, clock or chance. Whoever drives it says when a step ends.

import { assert, PrivacyError, RoundError } from '../../common/errors.js';
import { decodeFixedPoint } from './fixed-point.js';
import { applyMask, type Mask } from './mask-stream.js';
import { MaskedUploads } from './masked-uploads.js';
import { type MaskScope, maskScope } from './member-masks.js';
import type {
  KeyAdvertisement,
  MaskedChunk,
  MemberMessage,
  RoundId,
  SealedShares,
  ServerMessage,
  SurvivorSignature,
  UnmaskShares,
} from './messages.js';
import { assertTerms, type RoundTerms, thresholdOf } from './round-terms.js';
import { SEALED_BYTES } from './sealed-shares.js';
import { equalBytes, SECRET_BYTES, wipe } from './secrets.js';
import { isSignedBy, keyStatement, survivorStatement } from './signed-statements.js';
import { uncoveredMasks } from './uncovered-masks.js';

/** Sums of the size of the round's that may be on their way at a time. */
const UPLOADS_MAX = 4;

export interface ServerOptions {
  terms: RoundTerms;
  /** Of the item factors that the cohort was given. */
  factorsHash: Uint8Array;
  /** Members that send their words at the same time, at least 1; the others are told to wait. @default 4 */
  uploadsMax?: number;
}

/** The steps in their order; then the sum is taken, or the round was aborted. */
const STEPS = ['keys', 'shares', 'masked', 'signature', 'unmask-shares'] as const;
type OpenStep = (typeof STEPS)[number];
export type ServerStep = OpenStep | 'summing' | 'done' | 'aborted';

/** `late`: its step is over, and the message changes nothing. `duplicate`: the member's first one counts. */
export type Disposition = 'accepted' | 'duplicate' | 'late';

/**
 * Collects the messages of a step, and with `closeStep` goes on with those who came. With fewer than t it aborts, and
 * nothing of the sum can be had.
 *
 * Source: Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning", CCS 2017, figure 4.
 */
export class SumServer {
  readonly terms: RoundTerms;
  readonly threshold: number;
  readonly #factorsHash: Uint8Array;
  readonly #uploads: MaskedUploads;
  readonly #keys = new Map<number, KeyAdvertisement>();
  readonly #shares = new Map<number, SealedShares>();
  readonly #signatures = new Map<number, SurvivorSignature>();
  readonly #answers = new Map<number, UnmaskShares>();
  #step: ServerStep = 'keys';
  #scope: MaskScope | undefined;
  /** Who may send in this step: those who sent in the one before, in increasing order. */
  #expected: readonly number[];
  #survivors: readonly number[] = [];
  #dropouts: readonly number[] = [];
  #masks: Mask[] = [];
  #wordEnd = 0;

  constructor({ terms, factorsHash, uploadsMax = UPLOADS_MAX }: ServerOptions) {
    assertTerms(terms);
    assert(factorsHash.length === SECRET_BYTES, 'a hash of the factors has 32 bytes');
    this.terms = terms;
    this.threshold = thresholdOf(terms.members.length);
    this.#factorsHash = factorsHash;
    this.#uploads = new MaskedUploads(terms, uploadsMax);
    this.#expected = [...terms.members.keys()];
  }

  get step(): ServerStep {
    return this.#step;
  }

  /** Whose messages of this step are not there, in increasing order. */
  get awaited(): number[] {
    const there = this.#arrived();
    return this.#expected.filter((member) => !there.has(member));
  }

  /** Whether the step can end well: at least t members came. */
  get isEnough(): boolean {
    return this.#arrived().size >= this.threshold;
  }

  /** Whose inputs are in the sum; known from the end of the third step. */
  get survivors(): readonly number[] {
    return this.#survivors;
  }

  /**
   * @throws {RoundError} `STOA_ROUND_MESSAGE`: of another round, ahead of its step, from someone who is not expected, or
   *   not what the protocol has there. The round stands as before.
   * @throws {ShapeError} `STOA_SHAPE`; {StoaError} `STOA_BUSY`: masked words that are not the next ones, or of too many.
   */
  receive(message: MemberMessage): Disposition {
    this.#requireRound(message);
    const at = STEPS.indexOf(message.type);
    const now = STEPS.indexOf(this.#step as OpenStep);
    if (now < 0 || at < now) return 'late';
    if (at > now) this.#reject(message.member, `sent "${message.type}" in the step of "${this.#step}"`);
    if (!this.#expected.includes(message.member)) {
      this.#reject(message.member, `is not among those who take part in the step of "${this.#step}"`);
    }
    if (message.type === 'masked') return this.#uploads.add(message) ? 'accepted' : 'duplicate';
    if (this.#arrived().has(message.member)) return 'duplicate';
    this.#accept(message);
    return 'accepted';
  }

  /** Forgets the words of a member whose connection ended before they were whole. */
  abandonUpload(member: number): void {
    this.#uploads.abandon(member);
  }

  /**
   * Ends the step with those who came.
   *
   * @returns what goes to whom; nobody gets anything after the last step, where `takeSum` gives the sum.
   * @throws {PrivacyError} `STOA_COHORT_TOO_SMALL`: fewer than t came. @throws {RoundError} `STOA_ROUND_FAILED`: shares
   *   do not fit. Either way the round is aborted, and its words are gone.
   */
  closeStep(): Map<number, ServerMessage> {
    const came = this.#requireEnough();
    try {
      return this.#close(came);
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  /**
   * The next entries of the sum. Each call costs as much as its entries need; a driver that has other work asks for few.
   *
   * @param values written; no more than are left.
   * @throws {NumericError} `STOA_NUMERIC_RANGE`: the masks did not cancel; the round is aborted.
   */
  takeSum(values: Float64Array): void {
    assert(this.#step === 'summing', 'the sum is uncovered');
    assert(values.length <= this.terms.length - this.#wordEnd, 'no more values than are left');
    const words = this.#uploads.sum.subarray(this.#wordEnd, this.#wordEnd + values.length);
    for (const mask of this.#masks) applyMask(words, this.#wordEnd, mask);
    try {
      decodeFixedPoint(words, this.terms.ring, { survivors: this.#survivors.length, values });
    } catch (error) {
      this.abort();
      throw error;
    }
    this.#wordEnd += values.length;
    if (this.#wordEnd === this.terms.length) this.#finish('done');
  }

  /** Ends the round; what was collected is wiped. */
  abort(): void {
    if (this.#step !== 'done') this.#finish('aborted');
  }

  #close(came: readonly number[]): Map<number, ServerMessage> {
    switch (this.#step) {
      case 'keys':
        return this.#next('shares', came, () => this.#keyList(came));
      case 'shares':
        this.#scope = maskScope(
          this.terms,
          this.#factorsHash,
          came.map((member) => this.#keys.get(member)!),
        );
        return this.#next('masked', came, (member) => this.#delivery(member, came));
      case 'masked':
        this.#uploads.close();
        this.#survivors = came;
        this.#dropouts = this.#expected.filter((member) => !came.includes(member));
        return this.#next('signature', came, () => ({
          ...this.#roundId,
          type: 'survivors',
          survivors: [...came],
        }));
      case 'signature':
        return this.#next('unmask-shares', came, () => this.#unmaskRequest());
      default:
        assert(this.#step === 'unmask-shares', 'a step is open');
        this.#uncover();
        return new Map();
    }
  }

  #next(
    step: OpenStep,
    came: readonly number[],
    message: (member: number) => ServerMessage,
  ): Map<number, ServerMessage> {
    this.#step = step;
    this.#expected = came;
    return new Map(came.map((member) => [member, message(member)]));
  }

  #keyList(came: readonly number[]): ServerMessage {
    return { ...this.#roundId, type: 'key-list', keys: came.map((member) => this.#keys.get(member)!) };
  }

  #delivery(member: number, sharers: readonly number[]): ServerMessage {
    const senders = sharers.filter((from) => from !== member);
    const sealed = senders.map((from) => {
      const { bytes } = this.#shares.get(from)!.sealed.find(({ to }) => to === member)!;
      return { from, bytes };
    });
    return { ...this.#roundId, type: 'share-delivery', sharers: [...sharers], sealed };
  }

  #unmaskRequest(): ServerMessage {
    const signatures = [...this.#signatures.values()].map(({ member, signature }) => ({ member, signature }));
    return {
      ...this.#roundId,
      type: 'unmask',
      survivors: [...this.#survivors],
      dropouts: [...this.#dropouts],
      signatures,
    };
  }

  #uncover(): void {
    const seedHashes = new Map([...this.#shares].map(([member, { seedHash }]) => [member, seedHash]));
    this.#masks = uncoveredMasks({
      terms: this.terms,
      scope: this.#scope!,
      survivors: this.#survivors,
      dropouts: this.#dropouts,
      keys: this.#keys,
      seedHashes,
      answers: [...this.#answers.values()],
    });
    this.#step = 'summing';
  }

  #accept(message: Exclude<MemberMessage, MaskedChunk>): void {
    switch (message.type) {
      case 'keys':
        this.#acceptKeys(message);
        return;
      case 'shares':
        this.#acceptShares(message);
        return;
      case 'signature':
        this.#acceptSignature(message);
        return;
      case 'unmask-shares':
        this.#acceptAnswer(message);
        return;
    }
  }

  #acceptKeys(message: KeyAdvertisement): void {
    const { member, sealKey, maskKey, signature } = message;
    const statement = keyStatement(this.terms, message);
    const areKeys = sealKey.length === SECRET_BYTES && maskKey.length === SECRET_BYTES;
    if (!areKeys || !isSignedBy(this.terms, member, { statement, signature })) {
      this.#reject(member, 'sent keys that its identity has not signed');
    }
    const taken = [...this.#keys.values()].flatMap((other) => [other.sealKey, other.maskKey]);
    if (
      [maskKey, ...taken].some((key) => equalBytes(key, sealKey)) ||
      taken.some((key) => equalBytes(key, maskKey))
    ) {
      this.#reject(member, 'sent a key that is in use');
    }
    this.#keys.set(member, message);
  }

  #acceptShares(message: SealedShares): void {
    const { member, seedHash, sealed } = message;
    const peers = this.#expected.filter((other) => other !== member);
    const isForAll =
      seedHash.length === SECRET_BYTES &&
      sealed.length === peers.length &&
      sealed.every(({ to, bytes }, n) => to === peers[n] && bytes.length === SEALED_BYTES);
    if (!isForAll) this.#reject(member, 'sent shares that are not one for each other member');
    this.#shares.set(member, message);
  }

  #acceptSignature(message: SurvivorSignature): void {
    const { member, signature } = message;
    const what = { cohort: this.#scope!.cohort, survivors: this.#survivors };
    const statement = survivorStatement(this.terms, what);
    if (!isSignedBy(this.terms, member, { statement, signature })) {
      this.#reject(member, 'sent a signature that is not of the survivors');
    }
    this.#signatures.set(member, message);
  }

  #acceptAnswer(message: UnmaskShares): void {
    const { member, seedShares, maskKeyShares } = message;
    const areShares = (shares: UnmaskShares['seedShares'], members: readonly number[]): boolean =>
      shares.length === members.length &&
      shares.every(({ of, share }, n) => of === members[n] && share.length === SECRET_BYTES);
    if (!areShares(seedShares, this.#survivors) || !areShares(maskKeyShares, this.#dropouts)) {
      this.#reject(member, 'sent shares that are not one for each survivor and dropout');
    }
    this.#answers.set(member, message);
  }

  #arrived(): { has(member: number): boolean; keys(): Iterable<number>; readonly size: number } {
    switch (this.#step) {
      case 'keys':
        return this.#keys;
      case 'shares':
        return this.#shares;
      case 'masked':
        return this.#uploads.whole;
      case 'signature':
        return this.#signatures;
      default:
        return this.#answers;
    }
  }

  #requireEnough(): number[] {
    const came = [...this.#arrived().keys()].sort((a, b) => a - b);
    if (came.length >= this.threshold) return came;
    const step = this.#step;
    this.abort();
    throw new PrivacyError(
      'STOA_COHORT_TOO_SMALL',
      `${came.length} of ${this.terms.members.length} participants came to the step of "${step}" and ${this.threshold} are needed; the round is aborted, and nothing of its sum was uncovered`,
    );
  }

  #requireRound({ session, round, member }: RoundId & { member: number }): void {
    if (equalBytes(session, this.terms.session) && round === this.terms.round) return;
    this.#reject(member, `sent a message of round ${round} to round ${this.terms.round}`);
  }

  get #roundId(): RoundId {
    return { session: this.terms.session, round: this.terms.round };
  }

  #reject(member: number, what: string): never {
    const name = this.terms.members[member]?.name ?? `member ${member}`;
    throw new RoundError('STOA_ROUND_MESSAGE', `${name} ${what}`);
  }

  #finish(step: 'done' | 'aborted'): void {
    this.#step = step;
    wipe(...this.#masks.map(({ key }) => key));
    this.#masks = [];
    for (const { seedShares, maskKeyShares } of this.#answers.values()) {
      for (const { share } of [...seedShares, ...maskKeyShares]) wipe(share);
    }
    this.#answers.clear();
    this.#uploads.wipe();
  }
}
