import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { HostPort } from '../../common/addresses.js';
import { type Clock, systemClock } from '../../common/clock.js';
import type { TlsOptions } from '../../common/grpc-security.js';
import { services } from '../../common/grpc-services.js';
import { checkPlan, type FederatedPlan } from '../../federation/protocol/federated-plan.js';
import type { RoundTiming } from '../../federation/rounds/round-plan.js';
import { startGrpcServer } from '../grpc-server.js';
import { type Admission, admitAnyone } from './admission.js';
import { Enrolment } from './enrolment.js';
import { FederationHost } from './federation-host.js';
import type { FederationOutcome } from './federation-outcome.js';
import { federationService } from './federation-service.js';
import { requireEnough } from './require-enough.js';

export const FEDERATION_SERVICE = 'stoa.federation.v1.FederationService';

/** A list of 4,096 names of 256 bytes, and shares of 255 members, fit. */
const MESSAGE_BYTES_MAX = 4 << 20;

/** How long participants have to fetch the items at the end. */
const SERVED_MS_MAX = 60_000;
const SERVED_LOOK_MS = 100;

export interface FederationOptions {
  runId: string;
  plan: FederatedPlan;
  /** The run begins when so many have joined. */
  participants: number;
  /** Of the items' initial factors. */
  seed: number;
  stdDev: number;
  listen: HostPort;
  tls: TlsOptions;
  /** @default whoever can connect */
  admission?: Admission;
  /** Folder for deliveries; made and emptied. */
  spoolDir: string;
  log: Logger;
  /** @default the system's */
  clock?: Clock;
  timing?: Partial<RoundTiming>;
  onSweep?: (done: number, seconds: number) => void;
}

/** What moved between the coordinator and one participant, payload bytes. */
export interface ParticipantTraffic {
  name: string;
  bytesUp: number;
  bytesDown: number;
}

export interface Federation {
  readonly address: HostPort;
  /** Settles when the run is over; participants may fetch the items until `close`. */
  readonly outcome: Promise<FederationOutcome>;
  readonly traffic: () => ParticipantTraffic[];
  /** Resolves when all participants have the items' final factors, or after a minute. */
  served(): Promise<void>;
  /** Ends the run where it stands. */
  stop(reason: string): void;
  close(): Promise<void>;
}

/**
 * Coordinates one federated run. Its state lives in this process alone: when it dies, the run is lost.
 *
 * @throws {UsageError} the plan does not hold together; errors of `startGrpcServer`.
 */
export async function startFederation(options: FederationOptions): Promise<Federation> {
  const { clock = systemClock, log } = options;
  const plan = checkPlan(options.plan);
  requireEnough(options.participants, plan.cohortMin);
  const session = randomBytes(16);
  const enrolment = new Enrolment(session, options.admission ?? admitAnyone);
  const host = new FederationHost({ ...options, plan, session, enrolment, clock });
  const implementation = federationService({ runId: options.runId, host, enrolment, clock, log });
  const { federation } = services;
  const server = await startGrpcServer({
    listen: options.listen,
    tls: options.tls,
    maxMessageBytes: MESSAGE_BYTES_MAX,
    services: [
      { name: FEDERATION_SERVICE, definition: federation.v1.FederationService.service, implementation },
    ],
  }).catch((error: unknown) => {
    host.close();
    throw error;
  });
  server.setServing('', true);
  server.setServing(FEDERATION_SERVICE, true);
  return {
    address: server.address,
    outcome: host.outcome,
    traffic: () => enrolment.all.map(({ name, bytesUp, bytesDown }) => ({ name, bytesUp, bytesDown })),
    served: async () => {
      const untilMs = clock.nowMs() + SERVED_MS_MAX;
      while (clock.nowMs() < untilMs && enrolment.all.some(({ isServed }) => !isServed))
        await sleep(SERVED_LOOK_MS);
    },
    stop: (reason) => host.stop(reason),
    close: async () => {
      host.close();
      await server.close(1000);
    },
  };
}
