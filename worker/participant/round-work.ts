// One participant in one round: from the terms of the round to the answers of its steps.

import { createHash, randomBytes } from 'node:crypto';
import { assert, PrivacyError, RoundError } from '../../common/errors.js';
import { bytesOf, CHUNK_BYTES_MAX } from '../../common/row-chunks.js';
import type { AuditLog } from '../../federation/audit/audit-log.js';
import type { SpendPermit } from '../../federation/privacy/spend-permit.js';
import { inputHash } from '../../federation/protocol/input-hash.js';
import type { RoundSums } from '../../federation/protocol/round-sums.js';
import type { MemberMessage, ServerMessage } from '../../federation/secure-aggregation/messages.js';
import type { Ring } from '../../federation/secure-aggregation/ring.js';
import { SumParticipant } from '../../federation/secure-aggregation/sum-participant.js';
import type { AnswerStepRequest } from '../../proto/generated/stoa/federation/v1/AnswerStepRequest.js';
import type { Disposition__Output } from '../../proto/generated/stoa/federation/v1/Disposition.js';
import type { StepTask__Output } from '../../proto/generated/stoa/federation/v1/StepTask.js';
import type { FederationLink } from './federation-link.js';
import type { ParticipantIdentity } from './identity.js';
import type { LocalSums } from './local-sums.js';
import { serverMessage, stepAnswer } from './masked-answers.js';
import type { ParticipantMemory } from './participant-memory.js';

/** What the messages of secure aggregation are, for whoever reads the log. */
const MESSAGES = {
  keys: 'fresh public keys of the round, signed',
  shares: 'sealed shares of the secrets of the masks, one for each other participant',
  signature: 'signature of the list of those whose sums arrived',
  'unmask-shares': 'shares that take the masks off the sum',
} as const;

export interface RoundWorkOptions {
  link: FederationLink;
  identity: ParticipantIdentity;
  memory: ParticipantMemory;
  audit: AuditLog;
  runId: string;
  session: Uint8Array;
  /** Undefined: without masks. */
  ring: Ring | undefined;
  cohortMin: number;
  sums: RoundSums;
  local: LocalSums;
  /** The tables of the round, checked; items undefined in a census. */
  items: Float32Array | undefined;
  operand: Float32Array | undefined;
  /** Pays for what the round releases; absent: nothing is noised. */
  spend?: () => Promise<{ permit: SpendPermit; epsilon: number }>;
  signal: AbortSignal;
}

export class RoundWork {
  readonly round: number;
  readonly #o: RoundWorkOptions;
  readonly #sweep: number;
  readonly #itemsHash: string;
  readonly #masked: SumParticipant | undefined;
  /** Answers that were made, by step: asked for again, the same is sent again. */
  readonly #answers = new Map<string, Omit<AnswerStepRequest, 'token'>>();
  #epsilon: number | undefined;
  #hasUploaded = false;

  private constructor(task: StepTask__Output, options: RoundWorkOptions, masked: SumParticipant | undefined) {
    this.round = task.round;
    this.#sweep = task.sweep;
    this.#itemsHash = task.itemsHash.toString('hex');
    this.#o = options;
    this.#masked = masked;
  }

  /**
   * Enters a round: what must be remembered of it is on disk.
   *
   * @throws {PrivacyError} `STOA_ROUND_REFUSED`, `STOA_COHORT_TOO_SMALL`: nothing of the round has left.
   */
  static async enter(task: StepTask__Output, options: RoundWorkOptions): Promise<RoundWork> {
    const { identity, memory, session, ring, cohortMin, sums } = options;
    const members = task.members.map(({ name, identityKey }) => ({
      name,
      identityKey: new Uint8Array(identityKey),
    }));
    const member = members.findIndex(({ name }) => name === identity.name);
    const isOwn = member >= 0 && Buffer.from(members[member]!.identityKey).equals(identity.publicKey);
    if (!isOwn)
      throw new PrivacyError('STOA_ROUND_REFUSED', 'the cohort has not this participant’s name and key');
    memory.meet(members);
    if (ring === undefined) {
      await memory.save();
      return new RoundWork(task, options, undefined);
    }
    // It came back in the middle of a round, whose secrets it does not have: the next one will do.
    if (task.step !== 'ROUND_STEP_KEYS' || memory.hasEntered(session, task.round)) {
      throw new RoundError('STOA_ROUND_MESSAGE', 'this participant lost what it needs for the round');
    }
    const masked = new SumParticipant({
      terms: {
        session,
        round: BigInt(task.round),
        purpose: sums.purpose,
        members,
        ring,
        length: sums.length,
      },
      member,
      factorsHash: inputHash({
        catalogue: task.catalogueHash,
        items: task.itemsHash.length === 0 ? undefined : task.itemsHash,
        operand: task.operandHash.length === 0 ? undefined : task.operandHash,
      }),
      sign: (statement) => identity.sign(statement),
      random: (length) => new Uint8Array(randomBytes(length)),
      memory: memory.rounds,
      cohortMin,
    });
    await memory.save();
    return new RoundWork(task, options, masked);
  }

  /** Answers a step. @throws {PrivacyError} the participant refuses. @returns what became of the answer. */
  async answer(task: StepTask__Output): Promise<Disposition__Output> {
    const known = this.#answers.get(task.step);
    if (known !== undefined) return this.#o.link.answerStep(known, this.#o.signal);
    switch (task.step) {
      case 'ROUND_STEP_KEYS':
        return this.#send(task, this.#secret.advertise());
      case 'ROUND_STEP_UPLOAD':
        return this.#upload(task);
      default: {
        const answer = this.#secret.receive(this.#told(task));
        if (answer === undefined)
          throw new RoundError('STOA_ROUND_MESSAGE', `nothing answers step ${task.step}`);
        return this.#send(task, answer);
      }
    }
  }

  /** Leaves the round: its secrets are overwritten. */
  leave(): void {
    if (this.#masked !== undefined && this.#masked.step !== 'done') this.#masked.leave();
  }

  get #secret(): SumParticipant {
    if (this.#masked !== undefined) return this.#masked;
    throw new RoundError('STOA_ROUND_MESSAGE', 'a step of masks is asked for in a run without them');
  }

  #told(task: StepTask__Output): ServerMessage {
    return serverMessage(task, { session: this.#o.session, round: BigInt(this.round) });
  }

  async #send(task: StepTask__Output, message: MemberMessage): Promise<Disposition__Output> {
    assert(message.type !== 'masked', 'masked words go in a stream');
    const { link, memory, signal } = this.#o;
    const answer = { round: this.round, ...stepAnswer(message) };
    this.#answers.set(task.step, answer);
    // Uncovering a sum is remembered before the shares that do it leave.
    if (message.type === 'unmask-shares') await memory.save();
    const payload = Buffer.from(JSON.stringify(stepAnswer(message), bytesAsHex));
    await this.#log(
      MESSAGES[message.type],
      payload.length,
      createHash('sha256').update(payload).digest('hex'),
    );
    return link.answerStep(answer, signal);
  }

  async #upload(task: StepTask__Output): Promise<Disposition__Output> {
    const { link, sums, local, items, spend, signal } = this.#o;
    if (this.#masked !== undefined) {
      // Each word stands under its masks once.
      if (this.#hasUploaded) throw new RoundError('STOA_ROUND_MESSAGE', 'the masked sum left already');
      this.#masked.receive(this.#told(task));
    }
    this.#hasUploaded = true;
    const bytes = sums.length * sums.numberBytes;
    const solved = items === undefined ? undefined : local.solve(items, this.#itemsHash, signal);
    if (spend !== undefined) {
      await solved;
      const { permit, epsilon } = await spend();
      local.pay(permit, this.#sweep);
      this.#epsilon = epsilon;
    }
    // The disk writes while users are solved.
    await Promise.all([solved, this.#log(`${this.#kindOfSum} begins to leave`, bytes)]);
    const upload = { round: this.round, length: sums.length, leftMs: task.leftMs };
    return link.upload(upload, this.#pieces(bytes), signal);
  }

  /** The sum in pieces; the entry with its hash is on disk before the last piece leaves. */
  async *#pieces(bytes: number): AsyncGenerator<Buffer> {
    const { sums, local, operand, signal } = this.#o;
    const hash = createHash('sha256');
    let last: Buffer | undefined;
    for (const segment of sums.segments) {
      signal.throwIfAborted();
      const whole = this.#encoded(await local.segment(segment, { operand, signal }));
      for (let at = 0; at < whole.length; at += CHUNK_BYTES_MAX) {
        if (last !== undefined) yield last;
        last = whole.subarray(at, at + CHUNK_BYTES_MAX);
        hash.update(last);
      }
    }
    await this.#log(`${this.#kindOfSum} has left`, bytes, hash.digest('hex'));
    if (last !== undefined) yield last;
  }

  #encoded(values: Float64Array): Buffer {
    if (this.#masked === undefined) {
      return bytesOf(this.#o.sums.numberBytes === 4 ? new Float32Array(values) : values);
    }
    const { bytes } = this.#masked.mask(values);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get #kindOfSum(): string {
    const noised = this.#o.spend === undefined ? '' : 'noised ';
    return `${noised}${this.#masked === undefined ? 'sum over learners, without masks' : 'masked sum over learners'}`;
  }

  #log(message: string, bytes: number, sha256?: string): Promise<void> {
    const { audit, runId, sums } = this.#o;
    const about = sums.purpose;
    return audit.append({
      run: runId,
      round: this.round,
      message,
      about,
      bytes,
      sha256,
      epsilon: this.#epsilon,
    });
  }
}

/** Bytes in JSON as hexadecimal text: for a hash that can be made again. */
function bytesAsHex(_key: string, value: unknown): unknown {
  const isBuffer =
    typeof value === 'object' && value !== null && (value as { type?: unknown }).type === 'Buffer';
  if (isBuffer) return Buffer.from((value as { data: number[] }).data).toString('hex');
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
}
