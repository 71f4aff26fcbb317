// What comes in during one round, until its sum is made or thrown away.

import { assert, ShapeError } from '../../common/errors.js';
import type { RoundSums } from '../../federation/protocol/round-sums.js';
import type { RoundKey } from '../../federation/rounds/events.js';
import type { RoundStep } from '../../federation/rounds/round-plan.js';
import type { MemberMessage, ServerMessage } from '../../federation/secure-aggregation/messages.js';
import type { RoundTerms } from '../../federation/secure-aggregation/round-terms.js';
import { SumServer } from '../../federation/secure-aggregation/sum-server.js';
import { UploadSpool } from './upload-spool.js';

/** Memory for deliveries that are on their way at a time, with masks; at least one is. */
const UPLOADING_BYTES_MAX = 256 << 20;
const UPLOADING_MAX = 4;

/** One delivery on its way. */
export interface Delivery {
  take(bytes: Buffer): Promise<void>;
  /** @throws {ShapeError} numbers are missing. */
  end(): void;
  /** It counts from now on. */
  keep(): void;
  abandon(): Promise<void>;
}

export interface RoundIntake {
  readonly key: RoundKey;
  readonly sums: RoundSums;
  /** Ids of whom the round asked at its beginning; places in it are members of a masked sum. */
  readonly cohort: readonly string[];
  /** Deliveries that may come in at a time; others wait, unread. */
  readonly deliveriesMax: number;
  /** Goes on to a step. */
  enter(step: RoundStep): void;
  /** What a participant is told in the step in progress. */
  messageFor(participant: string): ServerMessage | undefined;
  deliver(participant: string): Promise<Delivery>;
  /** Checks and keeps the answer to a step. */
  answer(message: MemberMessage): void;
  /** All steps are over: the sum may be had. */
  uncover(): void;
  /** The next numbers of the sum. */
  next(count: number, contributors: readonly string[]): Promise<Float64Array>;
  discard(): Promise<void>;
}

export class PlainIntake implements RoundIntake {
  readonly key: RoundKey;
  readonly sums: RoundSums;
  readonly cohort: readonly string[];
  readonly deliveriesMax = 16;
  readonly #spool: UploadSpool;

  constructor(o: { key: RoundKey; sums: RoundSums; cohort: readonly string[]; spoolDir: string }) {
    this.key = o.key;
    this.sums = o.sums;
    this.cohort = o.cohort;
    this.#spool = new UploadSpool(o.spoolDir, { ...o.sums, deliveries: o.cohort.length });
  }

  enter(): void {}

  messageFor(): undefined {
    return undefined;
  }

  async deliver(participant: string): Promise<Delivery> {
    const upload = await this.#spool.begin(participant);
    return {
      take: (bytes) => upload.take(bytes),
      end: () => requireWhole(upload.isWhole),
      keep: () => upload.keep(),
      abandon: () => upload.abandon(),
    };
  }

  answer(): void {
    assert(false, 'a round without masks has one step');
  }

  uncover(): void {}

  next(count: number, contributors: readonly string[]): Promise<Float64Array> {
    return this.#spool.next(count, contributors);
  }

  discard(): Promise<void> {
    return this.#spool.discard();
  }
}

export class MaskedIntake implements RoundIntake {
  readonly key: RoundKey;
  readonly sums: RoundSums;
  readonly cohort: readonly string[];
  readonly deliveriesMax: number;
  readonly #server: SumServer;
  #messages: ReadonlyMap<number, ServerMessage> = new Map();

  constructor(o: {
    key: RoundKey;
    sums: RoundSums;
    cohort: readonly string[];
    terms: RoundTerms;
    factorsHash: Uint8Array;
  }) {
    this.key = o.key;
    this.sums = o.sums;
    this.cohort = o.cohort;
    const fit = Math.floor(UPLOADING_BYTES_MAX / (8 * o.sums.length));
    this.deliveriesMax = Math.max(1, Math.min(UPLOADING_MAX, fit));
    this.#server = new SumServer({
      terms: o.terms,
      factorsHash: o.factorsHash,
      uploadsMax: this.deliveriesMax,
    });
  }

  enter(step: RoundStep): void {
    if (step !== 'keys') this.#messages = this.#server.closeStep();
  }

  messageFor(participant: string): ServerMessage | undefined {
    return this.#messages.get(this.cohort.indexOf(participant));
  }

  async deliver(participant: string): Promise<Delivery> {
    const member = this.cohort.indexOf(participant);
    const { session, round, ring, length } = this.#server.terms;
    let wordStart = 0;
    // The last piece makes the words count: it is given on by `keep` alone, when the round still wants them.
    let last: Buffer | undefined;
    const giveOn = () => {
      if (last === undefined) return;
      this.#server.receive({ type: 'masked', session, round, member, wordStart, bytes: last });
      wordStart += (8 * last.length) / ring.bits;
      last = undefined;
    };
    return {
      take: async (bytes) => {
        giveOn();
        last = bytes;
      },
      end: () => requireWhole(wordStart + (8 * (last?.length ?? 0)) / ring.bits === length),
      keep: giveOn,
      abandon: async () => this.#server.abandonUpload(member),
    };
  }

  answer(message: MemberMessage): void {
    this.#server.receive(message);
  }

  uncover(): void {
    this.#server.closeStep();
  }

  async next(count: number): Promise<Float64Array> {
    const values = new Float64Array(count);
    this.#server.takeSum(values);
    return values;
  }

  async discard(): Promise<void> {
    this.#server.abort();
  }
}

function requireWhole(isWhole: boolean): void {
  if (!isWhole) throw new ShapeError('STOA_SHAPE', 'a delivery ended before all its numbers had come');
}
