// One masked sum over virtual participants in this process, and the same sum without masks: bytes and CPU seconds.

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { decodeFixedPoint, encodeFixedPoint } from '../../federation/secure-aggregation/fixed-point.js';
import { addWords } from '../../federation/secure-aggregation/mask-stream.js';
import type { MemberMessage, ServerMessage } from '../../federation/secure-aggregation/messages.js';
import { planRing } from '../../federation/secure-aggregation/ring.js';
import { RoundMemory } from '../../federation/secure-aggregation/round-memory.js';
import { CHUNK_WORDS, type RoundTerms } from '../../federation/secure-aggregation/round-terms.js';
import { SumParticipant } from '../../federation/secure-aggregation/sum-participant.js';
import { SumServer } from '../../federation/secure-aggregation/sum-server.js';
import { packWords, unpackWords } from '../../federation/secure-aggregation/word-bytes.js';
import { messageBytes } from './message-bytes.js';

export interface SumSize {
  participants: number;
  /** Participants that share their keys and then send nothing: the dearest moment to drop out. */
  dropouts: number;
  words: number;
}

export interface SumCost extends SumSize {
  /** Mean of the participants that stay. */
  upload_bytes: number;
  download_bytes: number;
  participant_cpu_s: number;
  /** Of that, masking the words; the rest is keys, shares and signatures. */
  participant_mask_cpu_s: number;
  server_cpu_s: number;
  /** Of that, after the last participant sent its words. */
  server_unmask_cpu_s: number;
  unmasked_participant_cpu_s: number;
  unmasked_server_cpu_s: number;
}

/** @throws {Error} the sum is not exact. */
export function measureMaskedSum(size: SumSize): SumCost {
  const round = new MeasuredRound(size);
  round.run();
  return { ...round.cost(), ...measureUnmasked(round.terms, size) };
}

/** What is counted for a participant or the server. */
interface Spent {
  cpu: number;
  maskCpu: number;
  upload: number;
  download: number;
}

class MeasuredRound {
  readonly terms: RoundTerms;
  readonly #size: SumSize;
  readonly #server: SumServer;
  readonly #participants: SumParticipant[];
  readonly #spent: Spent[];
  #serverCpu = 0;
  #unmaskCpu = 0;

  constructor(size: SumSize) {
    this.#size = size;
    const keys = Array.from({ length: size.participants }, () => generateKeyPairSync('ed25519'));
    this.terms = termsOf(
      size,
      keys.map(({ publicKey }) => publicKey),
    );
    const factorsHash = randomBytes(32);
    const { terms } = this;
    this.#server = new SumServer({ terms, factorsHash, uploadsMax: 1 });
    this.#participants = keys.map(
      ({ privateKey }, member) =>
        new SumParticipant({
          terms,
          member,
          factorsHash,
          cohortMin: 2,
          sign: (statement) => sign(null, statement, privateKey),
          random: (length) => new Uint8Array(randomBytes(length)),
          memory: new RoundMemory(),
        }),
    );
    this.#spent = keys.map(() => ({ cpu: 0, maskCpu: 0, upload: 0, download: 0 }));
  }

  run(): void {
    for (const member of this.#participants.keys())
      this.#send(member, (participant) => participant.advertise());
    const dropouts = new Set(dropoutsOf(this.#size));
    let delivered = this.#closeStep();
    delivered = this.#exchange(delivered);
    for (const [member, message] of delivered) {
      if (dropouts.has(member)) continue;
      this.#receive(member, message);
      this.#sendWords(member);
    }
    const before = this.#serverCpu;
    delivered = this.#exchange(this.#closeStep());
    this.#exchange(delivered);
    this.#takeSum(dropouts);
    this.#unmaskCpu = this.#serverCpu - before;
  }

  cost(): Omit<SumCost, 'unmasked_participant_cpu_s' | 'unmasked_server_cpu_s'> {
    const dropouts = new Set(dropoutsOf(this.#size));
    const stayed = this.#spent.filter((_, member) => !dropouts.has(member));
    const mean = (of: (spent: Spent) => number) =>
      stayed.reduce((sum, spent) => sum + of(spent), 0) / stayed.length;
    return {
      ...this.#size,
      upload_bytes: Math.round(mean(({ upload }) => upload)),
      download_bytes: Math.round(mean(({ download }) => download)),
      participant_cpu_s: mean(({ cpu }) => cpu),
      participant_mask_cpu_s: mean(({ maskCpu }) => maskCpu),
      server_cpu_s: this.#serverCpu,
      server_unmask_cpu_s: this.#unmaskCpu,
    };
  }

  #exchange(delivered: ReadonlyMap<number, ServerMessage>): Map<number, ServerMessage> {
    for (const [member, message] of delivered) {
      const answer = this.#receive(member, message);
      if (answer !== undefined) this.#send(member, () => answer);
    }
    return this.#closeStep();
  }

  #receive(member: number, message: ServerMessage): MemberMessage | undefined {
    const spent = this.#spent[member]!;
    spent.download += messageBytes(message);
    const [answer, cpu] = timed(() => this.#participants[member]!.receive(message));
    spent.cpu += cpu;
    return answer;
  }

  #send(member: number, make: (participant: SumParticipant) => MemberMessage): number {
    const [message, cpu] = timed(() => make(this.#participants[member]!));
    this.#spent[member]!.cpu += cpu;
    this.#spent[member]!.upload += messageBytes(message);
    this.#serverCpu += timed(() => this.#server.receive(message))[1];
    return cpu;
  }

  #sendWords(member: number): void {
    for (let start = 0; start < this.#size.words; start += CHUNK_WORDS) {
      const values = valuesOf(member, start, this.#size.words);
      this.#spent[member]!.maskCpu += this.#send(member, (participant) => participant.mask(values));
    }
  }

  #closeStep(): Map<number, ServerMessage> {
    const [messages, cpu] = timed(() => this.#server.closeStep());
    this.#serverCpu += cpu;
    return messages;
  }

  #takeSum(dropouts: ReadonlySet<number>): void {
    const survivors = [...this.#participants.keys()].filter((member) => !dropouts.has(member));
    for (let start = 0; start < this.#size.words; start += CHUNK_WORDS) {
      const sum = new Float64Array(Math.min(CHUNK_WORDS, this.#size.words - start));
      this.#serverCpu += timed(() => this.#server.takeSum(sum))[1];
      const expected = new Float64Array(sum.length);
      for (const member of survivors) {
        const values = valuesOf(member, start, this.#size.words);
        for (let n = 0; n < sum.length; n++) expected[n]! += values[n]!;
      }
      if (expected.some((value, n) => value !== sum[n])) throw new Error('the sum is not exact');
    }
  }
}

/** The same words through the same ring and the same bytes, but bare. */
function measureUnmasked(
  { ring }: RoundTerms,
  size: SumSize,
): Pick<SumCost, 'unmasked_participant_cpu_s' | 'unmasked_server_cpu_s'> {
  const survivors = size.participants - size.dropouts;
  let participantCpu = 0;
  let serverCpu = 0;
  for (let start = 0; start < size.words; start += CHUNK_WORDS) {
    const length = Math.min(CHUNK_WORDS, size.words - start);
    const sum = new BigUint64Array(length);
    for (let member = 0; member < survivors; member++) {
      const values = valuesOf(member, start, size.words);
      const [bytes, cpu] = timed(() => {
        const words = new BigUint64Array(length);
        encodeFixedPoint(values, ring, words);
        return packWords(words, ring);
      });
      participantCpu += cpu / survivors;
      serverCpu += timed(() => {
        const words = new BigUint64Array(length);
        unpackWords(bytes, ring, words);
        addWords(sum, words);
      })[1];
    }
    serverCpu += timed(() => decodeFixedPoint(sum, ring, { survivors, values: new Float64Array(length) }))[1];
  }
  return { unmasked_participant_cpu_s: participantCpu, unmasked_server_cpu_s: serverCpu };
}

function termsOf({ participants, words }: SumSize, publicKeys: readonly KeyObject[]): RoundTerms {
  return {
    session: randomBytes(16),
    round: 1n,
    purpose: 'bench',
    members: publicKeys.map((key, n) => ({
      name: `institution-${n}`,
      identityKey: new Uint8Array(key.export({ format: 'der', type: 'spki' }).subarray(12)),
    })),
    ring: planRing({ ringBits: 64, fractionBits: 24, participants, learnersEach: 100_000, bound: 100 }),
    length: words,
  };
}

function dropoutsOf({ participants, dropouts }: SumSize): number[] {
  return Array.from({ length: dropouts }, (_, n) => participants - 1 - n);
}

/** Whole numbers of 2^-24: their sums are exact in float64. */
function valuesOf(member: number, start: number, words: number): Float64Array {
  const values = new Float64Array(Math.min(CHUNK_WORDS, words - start));
  for (let n = 0; n < values.length; n++) {
    values[n] = (((start + n + 1) * 2654435761 + member * 40503) % 2 ** 32) / 2 ** 20 - 2048;
  }
  return values;
}

function timed<T>(work: () => T): [T, number] {
  const before = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(before);
  return [result, (user + system) / 1e6];
}
