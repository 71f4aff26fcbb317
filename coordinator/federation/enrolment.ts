import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { FencedError, StateError, StoaError } from '../../common/errors.js';
import { joinStatement, PARTICIPANT_NAME } from '../../federation/protocol/join-statement.js';
import { MEMBERS_MAX } from '../../federation/secure-aggregation/ring.js';
import type { JoinHeader__Output } from '../../proto/generated/stoa/federation/v1/JoinHeader.js';
import type { Admission } from './admission.js';

/** A nonce that was not used by then is void, ms. */
const NONCE_MS_MAX = 60_000;
/** Nonces that are out at a time: whoever asks for more than this many pushes out the oldest. */
const NONCES_MAX = 1024;
/** What stands before the 32 bytes of an Ed25519 public key in DER: RFC 8410, section 4. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

export interface Enrolled {
  readonly name: string;
  readonly identityKey: Uint8Array;
  /** Names of its items; empty once the catalogue is agreed. */
  items: readonly string[];
  /** Payload of its deliveries and of the tables it pulled. */
  bytesUp: number;
  bytesDown: number;
  /** It has fetched the items' final factors. */
  isServed: boolean;
}

/** Who takes part in a run, and the tokens by which calls are theirs. */
export class Enrolment {
  readonly #admission: Admission;
  readonly #session: Uint8Array;
  readonly #nonces = new Map<string, number>();
  readonly #byName = new Map<string, Enrolled>();
  readonly #byToken = new Map<string, Enrolled>();

  constructor(session: Uint8Array, admission: Admission) {
    this.#session = session;
    this.#admission = admission;
  }

  get all(): readonly Enrolled[] {
    return [...this.#byName.values()];
  }

  get(name: string): Enrolled | undefined {
    return this.#byName.get(name);
  }

  nonce(nowMs: number): Buffer {
    for (const [nonce, sinceMs] of this.#nonces) {
      if (nowMs - sinceMs < NONCE_MS_MAX && this.#nonces.size < NONCES_MAX) break;
      this.#nonces.delete(nonce);
    }
    const nonce = randomBytes(16);
    this.#nonces.set(nonce.toString('hex'), nowMs);
    return nonce;
  }

  /**
   * Takes a participant in, or in again: its older token is void.
   *
   * @throws {StoaError} `STOA_ACCESS`: it is not who it says, or may not join; {StateError} `STOA_RUN_STATE`: full.
   */
  join(
    header: JoinHeader__Output,
    items: readonly string[],
    nowMs: number,
  ): { token: Buffer; who: Enrolled } {
    const { name, identityKey, nonce, signature } = header;
    if (!PARTICIPANT_NAME.test(name)) {
      throw denied(`"${name.slice(0, 64)}" is no name of a participant`);
    }
    const key = nonce.toString('hex');
    const sinceMs = this.#nonces.get(key);
    this.#nonces.delete(key);
    if (sinceMs === undefined || nowMs - sinceMs > NONCE_MS_MAX) {
      throw denied(
        `${name} signed a nonce that was not given out, was used, or is older than a minute; join again`,
      );
    }
    const statement = joinStatement({ nonce, session: this.#session, name, identityKey });
    if (
      identityKey.length !== 32 ||
      signature.length !== 64 ||
      !isSigned(identityKey, statement, signature)
    ) {
      throw denied(`what ${name} signed does not fit its key`);
    }
    this.#admission.admit({ name, identityKey });
    const known = this.#byName.get(name);
    if (known !== undefined && !identityKey.equals(known.identityKey)) {
      throw denied(`the name ${name} belongs to another key in this run; choose another name`);
    }
    if (known === undefined && this.#byName.size >= MEMBERS_MAX) {
      throw new StateError(
        'STOA_RUN_STATE',
        `the federation has ${MEMBERS_MAX} participants, the most there may be`,
      );
    }
    const who = known ?? {
      name,
      identityKey: new Uint8Array(identityKey),
      items,
      bytesUp: 0,
      bytesDown: 0,
      isServed: false,
    };
    this.#byName.set(name, who);
    for (const [token, other] of this.#byToken) if (other === who) this.#byToken.delete(token);
    const token = randomBytes(16);
    this.#byToken.set(token.toString('hex'), who);
    return { token, who };
  }

  /** @throws {FencedError} `STOA_SESSION_OVER`. */
  require(token: Uint8Array): Enrolled {
    const who = this.#byToken.get(Buffer.from(token).toString('hex'));
    if (who !== undefined) return who;
    throw new FencedError('STOA_SESSION_OVER', 'the token is of no participant of this run; join again');
  }
}

function isSigned(identityKey: Uint8Array, statement: Uint8Array, signature: Uint8Array): boolean {
  const key = Buffer.concat([SPKI_PREFIX, identityKey]);
  return verify(null, statement, createPublicKey({ key, format: 'der', type: 'spki' }), signature);
}

function denied(why: string): StoaError {
  return new StoaError('STOA_ACCESS', why);
}
