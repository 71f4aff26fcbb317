// One participant of one masked sum: a state machine without transport, clock or chance of its own.

import { assert, type ErrorCode, PrivacyError } from '../../common/errors.js';
import { encodeFixedPoint } from './fixed-point.js';
import { type AgreementKey, agreementKey } from './key-agreement.js';
import { applyMask, type Mask } from './mask-stream.js';
import { isListWithin, isSameList } from './member-lists.js';
import { type MaskScope, maskScope, pairMask, selfMask } from './member-masks.js';
import type {
  KeyAdvertisement,
  KeyList,
  MaskedChunk,
  MemberMessage,
  SealedShares,
  ServerMessage,
  ShareDelivery,
  SurvivorSet,
  SurvivorSignature,
  UnmaskRequest,
  UnmaskShares,
} from './messages.js';
import { peerShares, type ShareBox } from './peer-shares.js';
import type { RoundMemory } from './round-memory.js';
import { assertTerms, COHORT_MIN, type RoundTerms, thresholdOf } from './round-terms.js';
import type { SharePair } from './sealed-shares.js';
import { equalBytes, type RandomBytes, SECRET_BYTES, wipe } from './secrets.js';
import { isSignedBy, keyStatement, type Sign, survivorStatement } from './signed-statements.js';
import { packWords } from './word-bytes.js';

export interface ParticipantOptions {
  terms: RoundTerms;
  /** Place of this participant in the cohort. */
  member: number;
  /**
   * SHA-256 of what it was given to compute on: the item factors, and in a step of conjugate gradients the direction too.
   * The participant hashes what it has, and believes nobody.
   */
  factorsHash: Uint8Array;
  sign: Sign;
  random: RandomBytes;
  memory: RoundMemory;
  /** Fewest participants of a sum that it is in. @default 5 */
  cohortMin?: number;
}

type Step = 'new' | 'advertised' | 'shared' | 'masking' | 'masked' | 'signed' | 'done' | 'stopped';

/**
 * Takes part in one round and refuses whatever would show more than a sum over the cohort. After a refusal it is over:
 * secrets are gone and every call throws the same reason.
 *
 * `advertise()`, then `receive` a key list (answer: sealed shares), a share delivery (no answer), `mask` all words, then
 * `receive` the survivors (answer: a signature) and the unmask request (answer: shares).
 *
 * Source: Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning", CCS 2017, figure 4 with
 * the consistency check and signatures of its malicious variant.
 */
export class SumParticipant {
  readonly terms: RoundTerms;
  readonly member: number;
  readonly #options: ParticipantOptions;
  readonly #threshold: number;
  readonly #membersMin: number;
  #step: Step = 'new';
  #reason: PrivacyError | undefined;
  #sealKey: AgreementKey | undefined;
  #maskKey: AgreementKey | undefined;
  #seed: Uint8Array | undefined;
  #keys = new Map<number, KeyAdvertisement>();
  /** Shares on the way, and the keys that open those that come. */
  #box: ShareBox | undefined;
  #scope: MaskScope | undefined;
  #masks: Mask[] = [];
  /** Words masked so far: each stands under the masks once, or two plain words would show their difference. */
  #wordEnd = 0;
  /** By member, of all who shared; the participant's own too. */
  #shares = new Map<number, SharePair>();
  #survivors: readonly number[] = [];

  /** @throws {PrivacyError} `STOA_COHORT_TOO_SMALL`, `STOA_ROUND_REFUSED` (a round that is not after the last one). */
  constructor(options: ParticipantOptions) {
    const { terms, member, factorsHash, memory, cohortMin = COHORT_MIN } = options;
    assertTerms(terms);
    assert(factorsHash.length === SECRET_BYTES, 'a hash of the factors has 32 bytes');
    assert(terms.members[member] !== undefined, 'the participant is in the cohort');
    this.terms = terms;
    this.member = member;
    this.#options = options;
    this.#threshold = thresholdOf(terms.members.length);
    this.#membersMin = Math.max(this.#threshold, cohortMin);
    this.#requireEnough(terms.members.length, 'are in the cohort');
    memory.enter(terms);
  }

  get step(): Step {
    return this.#step;
  }

  /** Words that are still to be masked. */
  get wordsLeft(): number {
    return this.terms.length - this.#wordEnd;
  }

  /** Step 1. */
  advertise(): KeyAdvertisement {
    this.#requireStep('new', 'keys are asked for');
    const { sign, random } = this.#options;
    this.#sealKey = agreementKey(random(SECRET_BYTES));
    this.#maskKey = agreementKey(random(SECRET_BYTES));
    const keys = {
      member: this.member,
      sealKey: this.#sealKey.publicKey,
      maskKey: this.#maskKey.publicKey,
    };
    this.#step = 'advertised';
    return { ...this.#roundId, type: 'keys', ...keys, signature: sign(keyStatement(this.terms, keys)) };
  }

  /**
   * Steps 1, 2, 3 and 4.
   *
   * @throws {PrivacyError} `STOA_ROUND_REFUSED`, `STOA_COHORT_TOO_SMALL`: what was wrong; the participant has stopped.
   */
  receive(message: ServerMessage): MemberMessage | undefined {
    if (this.#reason !== undefined) throw this.#reason;
    if (!equalBytes(message.session, this.terms.session) || message.round !== this.terms.round) {
      this.#refuse(`a message of round ${message.round} came in round ${this.terms.round}`);
    }
    try {
      return this.#answer(message);
    } catch (error) {
      this.#stop(error);
      throw error;
    }
  }

  /**
   * Step 3: masks the next values of this participant's input.
   *
   * @param values any number of those that are left; an entry at most what the ring was planned for.
   * @throws {NumericError} `STOA_NUMERIC_NOT_FINITE`, `STOA_NUMERIC_RANGE`: nothing left; the participant has stopped.
   */
  mask(values: Float64Array): MaskedChunk {
    this.#requireStep('masking', 'values are to be masked');
    assert(values.length >= 1 && values.length <= this.wordsLeft, 'no more values than the sum has words');
    const { ring } = this.terms;
    const words = new BigUint64Array(values.length);
    try {
      encodeFixedPoint(values, ring, words);
    } catch (error) {
      this.#stop(error);
      throw error;
    }
    const wordStart = this.#wordEnd;
    for (const mask of this.#masks) applyMask(words, wordStart, mask);
    this.#wordEnd += words.length;
    if (this.wordsLeft === 0) {
      wipe(...this.#masks.map(({ key }) => key));
      this.#masks = [];
      this.#step = 'masked';
    }
    return {
      ...this.#roundId,
      type: 'masked',
      member: this.member,
      wordStart,
      bytes: packWords(words, ring),
    };
  }

  /** Leaves the round: wipes its secrets. Nothing that was sent can be uncovered by this participant's help. */
  leave(): void {
    this.#stop(new PrivacyError('STOA_ROUND_REFUSED', 'the participant has left the round'));
  }

  get #roundId(): Pick<KeyAdvertisement, 'session' | 'round'> {
    return { session: this.terms.session, round: this.terms.round };
  }

  #answer(message: ServerMessage): MemberMessage | undefined {
    switch (message.type) {
      case 'key-list':
        return this.#share(message);
      case 'share-delivery':
        this.#open(message);
        return undefined;
      case 'survivors':
        return this.#signSurvivors(message);
      case 'unmask':
        return this.#unmask(message);
    }
  }

  #share({ keys }: KeyList): SealedShares {
    this.#requireStep('advertised', 'a key list came');
    this.#checkKeys(keys);
    this.#seed = this.#options.random(SECRET_BYTES);
    this.#box = peerShares({
      terms: this.terms,
      member: this.member,
      keys,
      sealKey: this.#sealKey!,
      secrets: { maskKey: this.#maskKey!.secret, seed: this.#seed },
      random: this.#options.random,
    });
    this.#sealKey = undefined;
    this.#keys = new Map(keys.map((key) => [key.member, key]));
    this.#step = 'shared';
    const { seedHash, sealed } = this.#box;
    return { ...this.#roundId, type: 'shares', member: this.member, seedHash, sealed };
  }

  #checkKeys(keys: readonly KeyAdvertisement[]): void {
    this.#requireMembers(
      keys.map(({ member }) => member),
      new Set(this.terms.members.keys()),
      'advertised keys',
    );
    const own = keys.find(({ member }) => member === this.member)!;
    const isOwn =
      equalBytes(own.sealKey, this.#sealKey!.publicKey) && equalBytes(own.maskKey, this.#maskKey!.publicKey);
    if (!isOwn) this.#refuse('the key list has other keys of this participant than it advertised');
    const all = keys.flatMap(({ sealKey, maskKey }) => [sealKey, maskKey]);
    const distinct = new Set(all.map((key) => Buffer.from(key).toString('hex')));
    if (distinct.size !== all.length) this.#refuse('the key list has one key twice');
    for (const key of keys) {
      const { member, signature } = key;
      const isSigned =
        equalBytes(key.session, this.terms.session) &&
        key.round === this.terms.round &&
        isSignedBy(this.terms, member, { statement: keyStatement(this.terms, key), signature });
      if (!isSigned) this.#refuse(`the keys of ${this.#name(member)} are not signed by its identity`);
    }
  }

  #open({ sharers, sealed }: ShareDelivery): void {
    this.#requireStep('shared', 'shares came');
    this.#requireMembers(sharers, new Set(this.#keys.keys()), 'shared their keys');
    const peers = sharers.filter((member) => member !== this.member);
    const senders = sealed.map(({ from }) => from);
    if (!isSameList(senders, peers))
      this.#refuse('the shares are not from just those who are said to have shared');
    for (const { from, bytes } of sealed) {
      const pair = this.#box!.open(from, bytes);
      if (pair === undefined) {
        this.#refuse(`the share of ${this.#name(from)} was not sealed for this participant in this round`);
      }
      this.#shares.set(from, pair);
    }
    this.#shares.set(this.member, this.#box!.own);
    this.#box!.forget();
    this.#box = undefined;
    this.#makeMasks(sharers);
    this.#step = 'masking';
  }

  #makeMasks(sharers: readonly number[]): void {
    const keys = sharers.map((member) => this.#keys.get(member)!);
    const scope = maskScope(this.terms, this.#options.factorsHash, keys);
    this.#masks = [selfMask(this.#seed!, this.member, scope)];
    for (const peer of keys) {
      if (peer.member === this.member) continue;
      this.#masks.push(pairMask(this.#maskKey!, { member: this.member, peer }, scope));
    }
    this.#scope = scope;
    wipe(this.#seed, this.#maskKey!.secret);
    this.#seed = undefined;
    this.#maskKey = undefined;
  }

  #signSurvivors({ survivors }: SurvivorSet): SurvivorSignature {
    this.#requireStep('masked', 'a survivor set came');
    this.#requireMembers(survivors, new Set(this.#shares.keys()), 'survive');
    this.#survivors = [...survivors];
    this.#step = 'signed';
    const signature = this.#options.sign(this.#survivorStatement());
    return { ...this.#roundId, type: 'signature', member: this.member, signature };
  }

  #unmask({ survivors, dropouts, signatures }: UnmaskRequest): UnmaskShares {
    if (this.#step === 'done') this.#refuse('a second unmask request came; one is answered in a round');
    this.#requireStep('signed', 'an unmask request came');
    const both = dropouts.find((member) => survivors.includes(member));
    if (both !== undefined) {
      this.#refuse(`${this.#name(both)} is said to have survived and to have dropped out`);
    }
    if (!isSameList(survivors, this.#survivors)) {
      this.#refuse('the survivor set is not the one that this participant signed');
    }
    const all = [...survivors, ...dropouts].sort((a, b) => a - b);
    if (
      !isSameList(
        all,
        [...this.#shares.keys()].sort((a, b) => a - b),
      )
    ) {
      this.#refuse('survivors and dropouts are not just those who shared');
    }
    this.#requireSignatures(signatures);
    this.#options.memory.release(this.terms, this.#options.factorsHash, survivors);
    const seedShares = survivors.map((of) => ({ of, share: this.#shares.get(of)!.seed.slice() }));
    const maskKeyShares = dropouts.map((of) => ({ of, share: this.#shares.get(of)!.maskKey.slice() }));
    this.#wipe();
    this.#step = 'done';
    return { ...this.#roundId, type: 'unmask-shares', member: this.member, seedShares, maskKeyShares };
  }

  #requireSignatures(signatures: UnmaskRequest['signatures']): void {
    const statement = this.#survivorStatement();
    const signers = new Set<number>();
    for (const { member, signature } of signatures) {
      if (!this.#survivors.includes(member) || signers.has(member)) continue;
      if (isSignedBy(this.terms, member, { statement, signature })) signers.add(member);
    }
    if (signers.size >= this.#threshold) return;
    this.#refuse(
      `${signers.size} valid signatures of the survivor set are there and ${this.#threshold} are needed`,
    );
  }

  #survivorStatement(): Uint8Array {
    return survivorStatement(this.terms, { cohort: this.#scope!.cohort, survivors: this.#survivors });
  }

  #requireStep(step: Step, what: string): void {
    if (this.#reason !== undefined) throw this.#reason;
    if (this.#step !== step) this.#refuse(`${what} where the round stands at "${this.#step}"`);
  }

  /** A list of members that this participant is in, and that is large enough to hide it. */
  #requireMembers(list: readonly number[], within: ReadonlySet<number>, what: string): void {
    if (!isListWithin(list, within)) {
      this.#refuse(`the list of those who ${what} is out of order or names others than the step before`);
    }
    this.#requireEnough(list.length, what);
    if (!list.includes(this.member)) this.#refuse(`this participant is not among those who ${what}`);
  }

  #requireEnough(count: number, what: string): void {
    if (count >= this.#membersMin) return;
    this.#refuse(
      `${count} participants ${what} and at least ${this.#membersMin} must`,
      'STOA_COHORT_TOO_SMALL',
    );
  }

  #name(member: number): string {
    return this.terms.members[member]?.name ?? `member ${member}`;
  }

  #refuse(why: string, code: ErrorCode = 'STOA_ROUND_REFUSED'): never {
    const error = new PrivacyError(code, `${this.#name(this.member)} refuses the round: ${why}`);
    this.#stop(error);
    throw error;
  }

  #stop(error: unknown): void {
    this.#wipe();
    this.#step = 'stopped';
    this.#reason ??=
      error instanceof PrivacyError
        ? error
        : new PrivacyError('STOA_ROUND_REFUSED', 'the participant stopped after an error', { cause: error });
  }

  #wipe(): void {
    wipe(this.#seed, this.#maskKey?.secret, this.#sealKey?.secret, ...this.#masks.map(({ key }) => key));
    for (const { maskKey, seed } of this.#shares.values()) wipe(maskKey, seed);
    this.#box?.forget();
    this.#seed = undefined;
    this.#maskKey = undefined;
    this.#sealKey = undefined;
    this.#box = undefined;
    this.#masks = [];
    this.#shares.clear();
  }
}
