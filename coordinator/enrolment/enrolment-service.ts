// EnrolmentService: takes in who has an invitation, renews certificates, answers members about themselves.

import { X509Certificate } from 'node:crypto';
import type { Clock } from '../../common/clock.js';
import { services } from '../../common/grpc-services.js';
import { type MemberRole, requireSelf } from '../../federation/trust/access-table.js';
import { INVITATION_ID_BYTES } from '../../federation/trust/invitation.js';
import type { EnrolmentServiceHandlers } from '../../proto/generated/stoa/federation/v1/EnrolmentService.js';
import type { MemberRole as WireRole } from '../../proto/generated/stoa/federation/v1/MemberRole.js';
import { unary } from '../grpc-errors.js';
import type { GrpcServiceEntry } from '../grpc-server.js';
import type { MemberGuard } from './member-guard.js';
import type { MembershipRegister } from './membership-register.js';
import { meteredDefinition } from './metered-definition.js';

/** The part of a pino logger that is used here. */
export interface EnrolmentLog {
  info(fields: object, message: string): void;
}

export interface EnrolmentOptions {
  register: MembershipRegister;
  guard: MemberGuard;
  clock: Clock;
  log: EnrolmentLog;
}

export const ENROLMENT_SERVICE = 'stoa.federation.v1.EnrolmentService';
/** Longer than any token or id; both are compared as a whole. */
const TOKEN_LENGTH_MAX = 100;

export function enrolmentService({ register, guard, clock, log }: EnrolmentOptions): GrpcServiceEntry {
  const implementation: EnrolmentServiceHandlers = {
    Enrol: unary(async ({ invitationId, token, signingRequest }) => {
      const now = clock.date();
      const { name, role, certificate } = await register.enrol({
        id: invitationId.slice(0, INVITATION_ID_BYTES * 2 + 1),
        token: token.slice(0, TOKEN_LENGTH_MAX),
        request: signingRequest,
        now,
      });
      log.info({ member: name, role }, 'a member joined');
      return { certificate: derOf(certificate), name, role: wireRole(role), serverTime: timestamp(now) };
    }),
    RenewCertificate: unary(async ({ signingRequest }, call) => {
      const now = clock.date();
      const { name } = guard.memberOf(call);
      const certificate = await register.renew(name, signingRequest, now);
      log.info({ member: name }, 'a certificate was renewed');
      return { certificate: derOf(certificate), serverTime: timestamp(now) };
    }),
    GetMember: unary(({ name }, call) => {
      const member = guard.memberOf(call);
      requireSelf(member, name);
      return {
        name: member.name,
        role: wireRole(member.role),
        enrolTime: timestamp(new Date(member.enrolTime)),
        expireTime: timestamp(new Date(member.expireTime)),
        serverTime: timestamp(clock.date()),
      };
    }),
  };
  const { service } = services.federation.v1.EnrolmentService;
  return {
    name: ENROLMENT_SERVICE,
    definition: meteredDefinition(service),
    implementation: { ...implementation },
  };
}

function wireRole(role: MemberRole): WireRole {
  return role === 'participant' ? 'MEMBER_ROLE_PARTICIPANT' : 'MEMBER_ROLE_OPERATOR';
}

function timestamp(date: Date): { seconds: number; nanos: number } {
  const ms = date.getTime();
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 };
}

function derOf(pem: string): Buffer {
  return new X509Certificate(pem).raw;
}
