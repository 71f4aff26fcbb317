// All that a federated coordinator needs to know whom it talks to: TLS, the guard of its calls, and enrolment.

import type { ServerCredentials, ServerInterceptor } from '@grpc/grpc-js';
import type { Clock } from '../../common/clock.js';
import { messageOf } from '../../common/errors.js';
import { ACCESS_TABLE, type AccessTable } from '../../federation/trust/access-table.js';
import type { GrpcServiceEntry } from '../grpc-server.js';
import type { CallerLimits } from './caller-allowances.js';
import { type EnrolmentLog, enrolmentService } from './enrolment-service.js';
import { type Federation, openFederation, serverIdentity } from './federation-folder.js';
import { MemberGuard } from './member-guard.js';
import { MembershipRegister } from './membership-register.js';
import { FederationServerCredentials } from './server-credentials.js';

/** How often the coordinator looks whether its own certificate is due: it has months left then. */
const RENEWAL_CHECK_MS = 12 * 60 * 60 * 1000;

export interface FederationTrustOptions extends CallerLimits {
  /** Made by `foundFederation`. */
  folder: string;
  clock: Clock;
  log: EnrolmentLog & { error(fields: object, message: string): void };
  /** Who may call what. @default ACCESS_TABLE; what it lacks is refused */
  table?: AccessTable;
}

export interface FederationTrust {
  federation: Federation;
  register: MembershipRegister;
  guard: MemberGuard;
  /** For `startGrpcServer`. */
  credentials: ServerCredentials;
  /** For `startGrpcServer`. */
  interceptors: readonly ServerInterceptor[];
  /** For `startGrpcServer`, beside the services of the rounds, whose definitions `meteredDefinition` makes countable. */
  enrolment: GrpcServiceEntry;
  close(): void;
}

/** @throws as `openFederation`. */
export async function openFederationTrust(options: FederationTrustOptions): Promise<FederationTrust> {
  const { folder, clock, log, table = ACCESS_TABLE, limits, strangerLimits } = options;
  const federation = await openFederation(folder);
  const authority = federation.authority.certificate.toString();
  const credentials = new FederationServerCredentials(
    await serverIdentity(federation, clock.date()),
    authority,
  );
  const register = new MembershipRegister(federation);
  const guard = new MemberGuard({ register, clock, table, limits, strangerLimits });
  const timer = setInterval(() => {
    serverIdentity(federation, clock.date()).then(
      (identity) => credentials.replace(identity, authority),
      (error: unknown) => log.error({ problem: messageOf(error) }, 'the certificate was not renewed'),
    );
  }, RENEWAL_CHECK_MS).unref();
  return {
    federation,
    register,
    guard,
    credentials,
    interceptors: [guard.interceptor],
    enrolment: enrolmentService({ register, guard, clock, log }),
    close: () => {
      clearInterval(timer);
      guard.close();
    },
  };
}
