// A server that takes in members and renews certificates, and does nothing else.

import type { HostPort } from '../../common/addresses.js';
import { systemClock } from '../../common/clock.js';
import { startGrpcServer } from '../grpc-server.js';
import { ENROLMENT_SERVICE } from './enrolment-service.js';
import { type FederationTrustOptions, openFederationTrust } from './federation-trust.js';

/** The largest request is a signing request with its token. */
const MESSAGE_BYTES_MAX = 16 << 10;

export interface EnrolmentServer {
  /** With the port that was bound. */
  address: HostPort;
  federation: string;
  /** SHA-256 of the authority's certificate. */
  authority: string;
  close(): Promise<void>;
}

/** @throws as `openFederation` and `startGrpcServer`. */
export async function serveEnrolment(
  options: Pick<FederationTrustOptions, 'folder' | 'log'> & { listen: HostPort },
): Promise<EnrolmentServer> {
  const { folder, log, listen } = options;
  const trust = await openFederationTrust({ folder, log, clock: systemClock });
  const server = await startGrpcServer({
    listen,
    tls: {},
    credentials: trust.credentials,
    interceptors: trust.interceptors,
    services: [trust.enrolment],
    maxMessageBytes: MESSAGE_BYTES_MAX,
  });
  for (const service of ['', ENROLMENT_SERVICE]) server.setServing(service, true);
  return {
    address: server.address,
    federation: trust.federation.name,
    authority: trust.federation.fingerprint,
    close: async () => {
      trust.close();
      await server.close();
    },
  };
}
