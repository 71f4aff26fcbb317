// What every call to a federated coordinator passes: who calls is known from its certificate, may call this method, and
// stays within its limits. Nothing reaches a handler before.

import type { PeerCertificate } from 'node:tls';
import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerListenerBuilder,
} from '@grpc/grpc-js';
import type { Clock } from '../../common/clock.js';
import { AccessError, StoaError } from '../../common/errors.js';
import { type AccessTable, callersOf, requireAccess } from '../../federation/trust/access-table.js';
import type { Allowance } from '../../federation/trust/allowance.js';
import { toServiceError } from '../grpc-errors.js';
import { CallerAllowances, type CallerLimits } from './caller-allowances.js';
import type { KnownCaller, MembershipRegister } from './membership-register.js';
import { messageBytes } from './metered-definition.js';
import { refusedCertificate } from './refused-certificate.js';

/** How often open calls are looked at for members that were revoked meanwhile. */
const REVOCATION_CHECK_MS = 1000;

/** A call of grpc-js, as interceptors and handlers see it. */
export interface AuthenticatedCall {
  getAuthContext(): { sslPeerCertificate?: PeerCertificate } | null;
}

export interface GuardOptions extends CallerLimits {
  register: MembershipRegister;
  clock: Clock;
  table: AccessTable;
}

interface OpenCall {
  end: (error: StoaError) => void;
  member: KnownCaller | undefined;
}

export class MemberGuard {
  readonly #options: GuardOptions;
  readonly #allowances: CallerAllowances;
  readonly #open = new Set<OpenCall>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: GuardOptions) {
    this.#options = options;
    this.#allowances = new CallerAllowances(options);
    this.#timer = setInterval(() => this.#endRevoked(), REVOCATION_CHECK_MS).unref();
  }

  readonly interceptor: ServerInterceptor = (method, call) => {
    let admitted: { allowance: Allowance; open: OpenCall; timer: NodeJS.Timeout } | undefined;
    let isOver = false;
    const release = () => {
      isOver = true;
      if (admitted === undefined) return;
      clearTimeout(admitted.timer);
      admitted.allowance.endCall();
      this.#open.delete(admitted.open);
      admitted = undefined;
    };
    const end = (error: unknown) => {
      if (isOver) return;
      release();
      const { code, details, metadata } = toServiceError(error);
      call.sendStatus({ code, details, metadata: metadata ?? new Metadata() });
    };
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next(
          new ServerListenerBuilder()
            .withOnReceiveMetadata((metadata, forward) => {
              try {
                const { member, allowance } = this.#admit(method.path, call);
                const open = { end, member };
                const timer = setTimeout(() => end(tooLong(allowance)), allowance.callMsMax).unref();
                this.#open.add(open);
                admitted = { allowance, open, timer };
              } catch (error) {
                return end(error);
              }
              forward(metadata);
            })
            .withOnReceiveMessage((message, forward) => {
              try {
                admitted?.allowance.takeBytes(messageBytes(message), this.#options.clock.nowMs());
              } catch (error) {
                return end(error);
              }
              if (!isOver) forward(message);
            })
            .withOnCancel(release)
            .build(),
        ),
      sendMessage: (message, next) => {
        if (!isOver) next(message);
      },
      sendStatus: (callStatus, next) => {
        if (isOver) return;
        release();
        next(callStatus);
      },
    });
  };

  /**
   * The member that makes a call, for handlers.
   *
   * @throws {AccessError} `STOA_ACCESS_CERTIFICATE`: the caller has shown no valid certificate, or lost it meanwhile.
   */
  memberOf(call: AuthenticatedCall): KnownCaller {
    const member = this.#known(call);
    if (member === undefined) throw new AccessError('STOA_ACCESS_CERTIFICATE', refusedCertificate(call));
    return member;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** @throws {StoaError} the call is refused; nothing is taken from anybody's allowance but a call. */
  #admit(path: string, call: ServerInterceptingCallInterface) {
    const { table, clock } = this.#options;
    const nowMs = clock.nowMs();
    const { member, refusal } = this.#identify(call);
    const allowance =
      member === undefined
        ? this.#allowances.ofAddress(call.getPeer(), nowMs)
        : this.#allowances.ofMember(member.name, nowMs);
    // Counted before anything else is said: asking is what is limited.
    allowance.beginCall(nowMs);
    try {
      const callers = callersOf(path, table);
      // Who joins anew may still have an old certificate at hand; everybody else is told what is wrong with it.
      if (member === undefined && callers !== undefined && !callers.includes('anyone')) {
        throw refusal ?? new AccessError('STOA_ACCESS_CERTIFICATE', refusedCertificate(call));
      }
      requireAccess(path, member?.role ?? 'anyone', table);
    } catch (error) {
      allowance.endCall();
      throw error;
    }
    return { member, allowance };
  }

  #identify(call: AuthenticatedCall): { member?: KnownCaller; refusal?: AccessError } {
    try {
      return { member: this.#known(call) };
    } catch (error) {
      if (error instanceof AccessError) return { refusal: error };
      throw error;
    }
  }

  /** Who has shown a certificate of this federation; undefined without one. @throws {AccessError} it is no longer good. */
  #known(call: AuthenticatedCall): KnownCaller | undefined {
    const certificate = call.getAuthContext()?.sslPeerCertificate;
    if (certificate === undefined) return undefined;
    const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
    return this.#options.register.standing(fingerprint, this.#options.clock.date());
  }

  #endRevoked(): void {
    for (const { member, end } of this.#open) {
      if (member === undefined || !this.#options.register.isRevoked(member.name)) continue;
      end(
        new AccessError('STOA_ACCESS_REVOKED', `${member.name} is no longer a member of this federation`, {
          fields: { member: member.name },
        }),
      );
    }
  }
}

function tooLong(allowance: Allowance): StoaError {
  return new StoaError(
    'STOA_DEADLINE',
    `the call lasted longer than ${allowance.callMsMax / 1000} s, the most it may`,
  );
}
