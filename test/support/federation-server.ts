// A federation in a temporary folder, and its coordinator on a real socket with real TLS.

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Clock } from '../../common/clock.js';
import { services } from '../../common/grpc-services.js';
import { foundFederation } from '../../coordinator/enrolment/federation-folder.js';
import { type FederationTrust, openFederationTrust } from '../../coordinator/enrolment/federation-trust.js';
import { meteredDefinition } from '../../coordinator/enrolment/metered-definition.js';
import { type GrpcServer, type GrpcServiceEntry, startGrpcServer } from '../../coordinator/grpc-server.js';
import type { AccessTable, MemberRole } from '../../federation/trust/access-table.js';
import type { MemberLimits } from '../../federation/trust/allowance.js';
import type { MemberIdentity } from '../../federation/trust/identity-folder.js';
import type { Invitation } from '../../federation/trust/invitation.js';
import { joinFederation } from '../../federation/trust/membership.js';

export interface FederationServerOptions {
  name?: string;
  hosts?: readonly string[];
  /** Of coordinator and authority. */
  clock?: Clock;
  /** Its joining members' clock. @default the coordinator's */
  memberClock?: Clock;
  table?: AccessTable;
  limits?: MemberLimits;
  strangerLimits?: MemberLimits;
  services?: readonly GrpcServiceEntry[];
  /** Of a federation that was founded before. */
  folder?: string;
}

export interface FederationServer {
  /** Temporary; all that is made for the test lies there. */
  root: string;
  /** Of the federation. */
  folder: string;
  address: string;
  trust: FederationTrust;
  server: GrpcServer;
  invite: (name: string, options?: { role?: MemberRole; validMs?: number }) => Promise<Invitation>;
  /** Invites and joins. */
  join: (name: string, role?: MemberRole) => Promise<MemberIdentity>;
  close: () => Promise<void>;
}

const HOUR_MS = 3_600_000;

/** The machine's clock, so far ahead. */
export function clockAhead(byMs = 0): Clock {
  return { nowMs: () => performance.now(), date: () => new Date(Date.now() + byMs) };
}

export async function startFederation(options: FederationServerOptions = {}): Promise<FederationServer> {
  const clock = options.clock ?? clockAhead();
  const root = await mkdtemp(path.join(os.tmpdir(), 'stoa-federation-'));
  const folder = options.folder ?? path.join(root, 'federation');
  if (options.folder === undefined) {
    const hosts = options.hosts ?? ['localhost', '127.0.0.1'];
    await foundFederation(folder, { name: options.name ?? 'open-courses', hosts, now: clock.date() });
  }
  const trust = await openFederationTrust({
    folder,
    clock,
    log: { info: () => {}, error: () => {} },
    table: options.table,
    limits: options.limits,
    strangerLimits: options.strangerLimits,
  });
  const server = await startGrpcServer({
    listen: { host: '127.0.0.1', port: 0 },
    tls: {},
    credentials: trust.credentials,
    interceptors: trust.interceptors,
    services: [trust.enrolment, ...(options.services ?? [])],
  });
  const address = `127.0.0.1:${server.address.port}`;
  const invite: FederationServer['invite'] = (name, { role = 'participant', validMs = HOUR_MS } = {}) =>
    trust.register.invite({ name, role, address, validMs, now: clock.date() });
  return {
    root,
    folder,
    address,
    trust,
    server,
    invite,
    join: async (name, role) => {
      const to = path.join(root, `identity-${name}`);
      const memberClock = options.memberClock ?? clock;
      return (await joinFederation(await invite(name, { role }), to, { clock: memberClock })).identity;
    },
    close: async () => {
      trust.close();
      await server.close(100);
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** Services of Stoa whose handlers note that they were reached; every method of every area. */
export function notingServices(reached: string[]): GrpcServiceEntry[] {
  const all = {
    'stoa.training.v1.TrainingService': services.training.v1.TrainingService,
    'stoa.training.v1.WorkerService': services.training.v1.WorkerService,
    'stoa.parameters.v1.HolderService': services.parameters.v1.HolderService,
    'stoa.parameters.v1.TablesService': services.parameters.v1.TablesService,
    'stoa.parameters.v1.ParametersService': services.parameters.v1.ParametersService,
    'stoa.recommend.v1.RecommendService': services.recommend.v1.RecommendService,
  };
  return Object.entries(all).map(([name, { service }]) => ({
    name,
    definition: meteredDefinition(service),
    implementation: Object.fromEntries(
      Object.entries(service).map(([method, { path: methodPath, requestStream, responseStream }]) => [
        method,
        noting(() => reached.push(methodPath), { requestStream, responseStream }),
      ]),
    ),
  }));
}

type Handler = UntypedServiceImplementation[string];

function noting(note: () => void, kind: { requestStream: boolean; responseStream: boolean }): Handler {
  if (kind.responseStream) {
    return ((call: { end: () => void }) => {
      note();
      call.end();
    }) as Handler;
  }
  return ((_call: unknown, callback: (error: null, answer: object) => void) => {
    note();
    callback(null, {});
  }) as Handler;
}
