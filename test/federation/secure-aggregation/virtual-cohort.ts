// A cohort in one process: identities, inputs of exact fixed point, and a driver that carries messages between the
// machines and loses those of members that drop out.

import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { createRandom } from '../../../common/random.js';
import type { MemberMessage, ServerMessage } from '../../../federation/secure-aggregation/messages.js';
import { planRing, type Ring } from '../../../federation/secure-aggregation/ring.js';
import { RoundMemory } from '../../../federation/secure-aggregation/round-memory.js';
import type { RoundTerms } from '../../../federation/secure-aggregation/round-terms.js';
import type { RandomBytes } from '../../../federation/secure-aggregation/secrets.js';
import {
  type ParticipantOptions,
  SumParticipant,
} from '../../../federation/secure-aggregation/sum-participant.js';
import { SumServer } from '../../../federation/secure-aggregation/sum-server.js';

/** Bytes that a seed decides. */
export function seededBytes(seed: number): RandomBytes {
  const random = createRandom(seed, 77);
  return (length) => Uint8Array.from({ length }, () => random.int(256));
}

export interface Identity {
  name: string;
  key: KeyObject;
  identityKey: Uint8Array;
}

const identities: Identity[] = [];

/** The first so many of one list of institutions, always the same. */
export function identitiesOf(count: number): Identity[] {
  while (identities.length < count) {
    const n = identities.length;
    const der = Buffer.concat([
      Buffer.from('302e020100300506032b657004220420', 'hex'),
      seededBytes(1_000_000 + n)(32),
    ]);
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
    identities.push({ name: `institution-${n}`, key, identityKey: new Uint8Array(spki.subarray(12)) });
  }
  return identities.slice(0, count);
}

export interface CohortOptions {
  count: number;
  length?: number;
  session?: Uint8Array;
  round?: bigint;
  ring?: Ring;
  purpose?: string;
  cohortMin?: number;
  seed?: number;
  /** Sees every buffer of random bytes that a participant gets. */
  watchRandom?: (bytes: Uint8Array) => void;
  /** @default all members */
  uploadsMax?: number;
  /** One for each member. @default new ones */
  memories?: readonly RoundMemory[];
  /** What a member is given to compute on. @default the same for all */
  factorsHash?: (member: number) => Uint8Array;
}

export const FACTORS_HASH = new Uint8Array(32).fill(0xf0);

/** At which step members are silent from then on: the server never hears that message of theirs. */
export type Silent = Partial<Record<MemberMessage['type'], readonly number[]>>;

export class VirtualCohort {
  readonly terms: RoundTerms;
  readonly server: SumServer;
  readonly participants: SumParticipant[];
  /** Entries of each member's input: multiples of 2^-24, so that the exact sum is a float64. */
  readonly inputs: Float64Array[];
  /** The very messages that the server got: it wipes the shares in them. */
  readonly received: MemberMessage[] = [];
  /** Every message that was carried; shares that unmask are copies. */
  readonly log: { member: number; message: MemberMessage | ServerMessage }[] = [];
  readonly #chunkWords: number;

  constructor(options: CohortOptions, chunkWords = 3) {
    const {
      count,
      length = 8,
      round = 1n,
      purpose = 'statistics',
      seed = 1,
      cohortMin,
      uploadsMax = count,
    } = options;
    const members = identitiesOf(count);
    const needs = { ringBits: 64, fractionBits: 24, participants: count, learnersEach: 1000, bound: 100 };
    this.terms = {
      session: options.session ?? new Uint8Array(16).fill(0xaa),
      round,
      purpose,
      members: members.map(({ name, identityKey }) => ({ name, identityKey })),
      ring: options.ring ?? planRing(needs),
      length,
    };
    this.#chunkWords = chunkWords;
    this.server = new SumServer({ terms: this.terms, factorsHash: FACTORS_HASH, uploadsMax });
    this.participants = members.map(({ key }, member) => {
      const participant: ParticipantOptions = {
        terms: this.terms,
        member,
        factorsHash: options.factorsHash?.(member) ?? FACTORS_HASH,
        sign: (statement) => new Uint8Array(sign(null, statement, key)),
        random: watched(seededBytes(1000 * seed + member), options.watchRandom),
        memory: options.memories?.[member] ?? new RoundMemory(),
        ...(cohortMin === undefined ? {} : { cohortMin }),
      };
      return new SumParticipant(participant);
    });
    this.inputs = members.map((_, member) => inputOf(member, length));
  }

  /** The sum that is right for these members. */
  sumOf(members: readonly number[]): number[] {
    return Array.from({ length: this.terms.length }, (_, n) =>
      members.reduce((sum, member) => sum + this.inputs[member]![n]!, 0),
    );
  }

  /** Runs until the sum, or throws why not. */
  run(silent: Silent = {}): number[] {
    let delivered = this.advertise(silent);
    for (const step of ['shares', 'masked', 'signature', 'unmask-shares'] as const) {
      delivered = this.step(step, delivered, silent);
    }
    return this.takeSum();
  }

  advertise(silent: Silent = {}): Map<number, ServerMessage> {
    this.participants.forEach((participant, member) => {
      if (isSilent(member, 'keys', silent)) return;
      this.#send(participant.advertise());
    });
    return this.#close();
  }

  /** Delivers what the server sent, and carries the answers. */
  step(
    type: MemberMessage['type'],
    delivered: ReadonlyMap<number, ServerMessage>,
    silent: Silent = {},
  ): Map<number, ServerMessage> {
    for (const [member, message] of delivered) {
      if (isSilent(member, type, silent)) continue;
      for (const answer of this.answersOf(member, message)) this.#send(answer);
    }
    return this.#close();
  }

  /** What a participant sends for a message of the server's. */
  answersOf(member: number, message: ServerMessage): MemberMessage[] {
    const participant = this.participants[member]!;
    const answer = participant.receive(message);
    if (answer !== undefined) return [answer];
    const chunks: MemberMessage[] = [];
    while (participant.wordsLeft > 0) {
      const start = this.terms.length - participant.wordsLeft;
      chunks.push(participant.mask(this.inputs[member]!.slice(start, start + this.#chunkWords)));
    }
    return chunks;
  }

  /** Copies of the messages that members sent in a step. */
  sent(type: MemberMessage['type']): MemberMessage[] {
    const messages = this.log.map(({ message }) => message as MemberMessage);
    return structuredClone(messages.filter((message) => message.type === type));
  }

  /** Another server for the same round. */
  freshServer(): SumServer {
    const uploadsMax = this.participants.length;
    return new SumServer({ terms: this.terms, factorsHash: FACTORS_HASH, uploadsMax });
  }

  takeSum(): number[] {
    const sum: number[] = [];
    while (sum.length < this.terms.length) {
      const values = new Float64Array(Math.min(5, this.terms.length - sum.length));
      this.server.takeSum(values);
      sum.push(...values);
    }
    return sum;
  }

  #send(message: MemberMessage): void {
    this.log.push({
      member: message.member,
      message: message.type === 'unmask-shares' ? structuredClone(message) : message,
    });
    this.received.push(message);
    this.server.receive(message);
  }

  #close(): Map<number, ServerMessage> {
    const out = this.server.closeStep();
    for (const [member, message] of out) this.log.push({ member, message });
    return out;
  }
}

function watched(random: RandomBytes, watch?: (bytes: Uint8Array) => void): RandomBytes {
  return (length) => {
    const bytes = random(length);
    watch?.(bytes);
    return bytes;
  };
}

function isSilent(member: number, type: MemberMessage['type'], silent: Silent): boolean {
  return silent[type]?.includes(member) ?? false;
}

function inputOf(member: number, length: number): Float64Array {
  const random = createRandom(42, member);
  return Float64Array.from({ length }, () => Math.round((random.next() - 0.5) * 2000 * 2 ** 24) / 2 ** 24);
}

/** All ways to take `size` of the first `count` members. */
export function* subsets(count: number, size: number, from = 0): Generator<number[]> {
  if (size === 0) {
    yield [];
    return;
  }
  for (let first = from; first <= count - size; first++) {
    for (const rest of subsets(count, size - 1, first + 1)) yield [first, ...rest];
  }
}
