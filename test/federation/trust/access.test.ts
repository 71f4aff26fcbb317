// Who may call what at a federated coordinator, for every method there is: over real sockets, with real certificates.

import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ChannelCredentials,
  Client,
  type ClientReadableStream,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { services } from '../../../common/grpc-services.js';
import { MembershipRegister } from '../../../coordinator/enrolment/membership-register.js';
import { meteredDefinition } from '../../../coordinator/enrolment/metered-definition.js';
import { ACCESS_TABLE, callersOf, requireAccess } from '../../../federation/trust/access-table.js';
import {
  FEDERATION_CHANNEL_OPTIONS,
  federationCredentials,
} from '../../../federation/trust/federation-channel.js';
import type { MemberIdentity } from '../../../federation/trust/identity-folder.js';
import { joinFederation } from '../../../federation/trust/membership.js';
import {
  clockAhead,
  type FederationServer,
  notingServices,
  startFederation,
} from '../../support/federation-server.js';

/** All methods of all services in the protos, and those that every server of Stoa has. */
const METHODS = Object.values(services)
  .flatMap((area) => Object.values(area.v1 as Record<string, { service?: object }>))
  .flatMap(({ service }) => Object.values(service ?? {}) as { path: string; requestStream: boolean }[]);
const HEALTH = { path: '/grpc.health.v1.Health/Check', requestStream: false };
const UNKNOWN = { path: '/stoa.future.v1.FutureService/Invented', requestStream: false };

const reached: string[] = [];
let federation: FederationServer;
let foreign: FederationServer;
const clients: Client[] = [];
const callers: Record<string, Client> = {};

beforeAll(async () => {
  const generous = { perSecond: 1e6, burst: 1e9 };
  federation = await startFederation({
    services: notingServices(reached),
    limits: { calls: generous, bytes: generous, openCallsMax: 1000, callMsMax: 60_000 },
    strangerLimits: { calls: generous, bytes: generous, openCallsMax: 1000, callMsMax: 60_000 },
  });
  foreign = await startFederation({ name: 'closed-courses' });
  const revoked = await federation.join('uni-revoked');
  await federation.trust.register.revoke('uni-revoked', 'left', new Date());
  callers['participant'] = clientOf(await federation.join('uni-a'));
  callers['operator'] = clientOf(await federation.join('office', 'operator'));
  callers['stranger'] = clientOf(undefined);
  callers['member of another federation'] = clientOf(await foreign.join('uni-a'));
  callers['revoked member'] = clientOf(revoked);
});

afterAll(async () => {
  for (const client of clients) client.close();
  await federation.close();
  await foreign.close();
});

function clientOf(identity: MemberIdentity | undefined, address = federation.address): Client {
  const authority = federation.trust.federation.authority.certificate.toString();
  const client = new Client(address, federationCredentials(authority, identity), FEDERATION_CHANNEL_OPTIONS);
  clients.push(client);
  return client;
}

/** The status that a call ends with; an empty message, which every handler gets to see that is reached. */
function statusOf(
  client: Client,
  method: string,
  body: Uint8Array = new Uint8Array(),
): Promise<ServiceError | undefined> {
  const same = (bytes: Buffer): Buffer => bytes;
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      method,
      same,
      same,
      Buffer.from(body),
      new Metadata(),
      { deadline: Date.now() + 20_000 },
      (error) => resolve(error ?? undefined),
    );
  });
}

describe('the table of who may call what', () => {
  it('knows every method of every proto, so that a new one is decided about', () => {
    expect(METHODS.length).toBeGreaterThan(40);
    expect(METHODS.filter(({ path: method }) => callersOf(method) === undefined)).toEqual([]);
  });

  it('names no method or service that is not there', () => {
    const known = new Set(METHODS.flatMap(({ path: method }) => [method, `${path.posix.dirname(method)}/*`]));
    const unknown = Object.keys(ACCESS_TABLE).filter(
      (entry) => entry.startsWith('/stoa.') && !known.has(entry),
    );
    expect(unknown).toEqual([]);
  });

  it('refuses what it does not know, to everybody, and the names of its own prototype', () => {
    for (const method of [UNKNOWN.path, '/', '', 'constructor', '__proto__', '/toString/*', 'valueOf/x']) {
      for (const caller of ['anyone', 'participant', 'operator'] as const) {
        expect(() => requireAccess(method, caller), `${caller} ${method}`).toThrow(/is not for/);
      }
    }
  });

  it('gives a participant enrolment and nothing of training, workers, tables or recommendations', () => {
    const allowed = METHODS.filter(({ path: method }) => callersOf(method)?.includes('participant'));
    expect(allowed.map(({ path: method }) => method).filter((one) => !one.includes('.federation.'))).toEqual(
      [],
    );
  });
});

describe('every method of every service', () => {
  it.each([...METHODS, HEALTH, UNKNOWN].map(({ path: method }) => method))(
    '%s reaches only whom it is for',
    async (method) => {
      const allowed = callersOf(method) ?? [];
      for (const [who, client] of Object.entries(callers)) {
        reached.length = 0;
        const error = await statusOf(client, method);
        const role = who === 'participant' || who === 'operator' ? who : 'anyone';
        const isAllowed = allowed.includes(role);
        const text = `${who} ${method}: ${error?.code} ${error?.details}`;
        if (!isAllowed) {
          expect([status.UNAUTHENTICATED, status.PERMISSION_DENIED, status.UNIMPLEMENTED], text).toContain(
            error?.code,
          );
          expect(reached, text).toEqual([]);
          // Nothing is said but whether one may.
          expect(error?.details, text).not.toMatch(/\/tmp|\.pem|\.json|Error:|at .*\.js/);
        } else {
          expect(error?.details ?? '', text).not.toMatch(/is not for|needs the certificate/);
        }
      }
    },
  );
});

describe('a participant', () => {
  it('reads what the federation knows of it, and of nobody else, whether there is such a one or not', async () => {
    const { GetMember } = services.federation.v1.EnrolmentService.service;
    const ask = (name: string) =>
      statusOf(callers['participant']!, GetMember.path, GetMember.requestSerialize({ name }));
    expect(await ask('uni-a')).toBeUndefined();
    const texts = await Promise.all(['office', 'uni-revoked', 'nobody', '', '../uni-a'].map(ask));
    for (const error of texts) expect(error?.code).toBe(status.PERMISSION_DENIED);
    expect(new Set(texts.map((error) => error?.details)).size).toBe(1);
  });
});

describe('a revocation', () => {
  it('made by another process holds at the next call of a connection that is open', async () => {
    const client = clientOf(await federation.join('uni-soon'));
    const { RenewCertificate } = services.federation.v1.EnrolmentService.service;
    // INVALID_ARGUMENT: it is let in, and an empty request is refused.
    expect((await statusOf(client, RenewCertificate.path))?.code).toBe(status.INVALID_ARGUMENT);
    // A register of its own, as the command line opens one.
    await new MembershipRegister(federation.trust.federation).revoke('uni-soon', 'left', new Date());
    const error = await statusOf(client, RenewCertificate.path);
    expect(error?.code).toBe(status.PERMISSION_DENIED);
    expect(error?.metadata.get('stoa-code')[0]).toBe('STOA_ACCESS_REVOKED');
  });

  it('ends calls that are open', async () => {
    const service = openEnded();
    const other = await startFederation({
      services: [service],
      table: { ...ACCESS_TABLE, '/stoa.training.v1.TrainingService/*': ['participant'] },
    });
    try {
      const authority = other.trust.federation.authority.certificate.toString();
      const identity = await other.join('uni-open');
      const client = new Client(
        other.address,
        federationCredentials(authority, identity),
        FEDERATION_CHANNEL_OPTIONS,
      );
      const same = (bytes: Buffer): Buffer => bytes;
      const { WatchRun } = services.training.v1.TrainingService.service;
      const call = client.makeServerStreamRequest(WatchRun.path, same, same, Buffer.alloc(0));
      const ended = endOf(call);
      await once(call, 'data');
      await other.trust.register.revoke('uni-open', 'left', new Date());
      expect(await ended).toBe(status.PERMISSION_DENIED);
      client.close();
    } finally {
      await other.close();
    }
  });

  it('withdraws an invitation that nobody used, and leaves the name free', async () => {
    const invitation = await federation.invite('uni-never');
    expect(await federation.trust.register.revoke('uni-never', '', new Date())).toBe('withdrawn');
    const to = path.join(federation.root, 'never');
    await expect(joinFederation(invitation, to, { clock: clockAhead() })).rejects.toMatchObject({
      code: 'STOA_ACCESS_INVITATION',
    });
    await federation.join('uni-never');
  });

  it('of a name that was never there says so, and one that was stays with its name', async () => {
    await expect(federation.trust.register.revoke('uni-ghost', '', new Date())).rejects.toMatchObject({
      code: 'STOA_NOT_FOUND_MEMBER',
    });
    await expect(federation.invite('uni-revoked')).rejects.toMatchObject({ code: 'STOA_EXISTS' });
    const listed = await federation.trust.register.list(new Date());
    expect(listed.find(({ name }) => name === 'uni-revoked')).toMatchObject({
      state: 'revoked',
      reason: 'left',
    });
  });
});

describe('limits', () => {
  const slow = { perSecond: 1, burst: 1e9 };

  it('on bytes end the call that goes beyond, whatever its handler does', async () => {
    const received: string[] = [];
    const other = await startFederation({
      services: notingServices(received),
      table: { ...ACCESS_TABLE, '/stoa.training.v1.TrainingService/*': ['participant'] },
      limits: {
        calls: slow,
        bytes: { perSecond: 1000, burst: 100_000 },
        openCallsMax: 4,
        callMsMax: 60_000,
      },
    });
    try {
      const client = memberClient(other, await other.join('uni-loud'));
      const { GetRun } = services.training.v1.TrainingService.service;
      const body = GetRun.requestSerialize({ runId: 'r'.repeat(60_000) });
      expect(await statusOf(client, GetRun.path, body)).toBeUndefined();
      const error = await statusOf(client, GetRun.path, body);
      expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
      expect(error?.metadata.get('grpc-status-details-bin')).toHaveLength(1);
      expect(received).toHaveLength(1);
      // Another member is not kept waiting by it.
      const quiet = memberClient(other, await other.join('uni-quiet'));
      expect(await statusOf(quiet, GetRun.path, GetRun.requestSerialize({ runId: 'r' }))).toBeUndefined();
    } finally {
      await other.close();
    }
  });

  it('on calls at once, on their rate and on their time hold over the wire', async () => {
    const other = await startFederation({
      services: [openEnded()],
      table: { ...ACCESS_TABLE, '/stoa.training.v1.TrainingService/*': ['participant'] },
      limits: { calls: { perSecond: 0.001, burst: 4 }, bytes: slow, openCallsMax: 2, callMsMax: 700 },
    });
    try {
      const client = memberClient(other, await other.join('uni-eager'));
      const same = (bytes: Buffer): Buffer => bytes;
      const { WatchRun } = services.training.v1.TrainingService.service;
      const open = () => {
        const call = client.makeServerStreamRequest(WatchRun.path, same, same, Buffer.alloc(0));
        call.on('data', () => {});
        return endOf(call);
      };
      const ends = [open(), open(), open()];
      // The third may not be open beside the others; those end when their time is over.
      expect((await Promise.all(ends)).sort((a, b) => a - b)).toEqual([
        status.DEADLINE_EXCEEDED,
        status.DEADLINE_EXCEEDED,
        status.RESOURCE_EXHAUSTED,
      ]);
      await sleep(50);
      expect(await open()).toBe(status.DEADLINE_EXCEEDED);
      expect(await open()).toBe(status.DEADLINE_EXCEEDED);
      expect(await open()).toBe(status.RESOURCE_EXHAUSTED);
    } finally {
      await other.close();
    }
  });

  it('hold for callers without a certificate, by their address', async () => {
    const other = await startFederation();
    try {
      const client = new Client(
        other.address,
        federationCredentials(other.trust.federation.authority.certificate.toString()),
        FEDERATION_CHANNEL_OPTIONS,
      );
      clients.push(client);
      const codes: (number | undefined)[] = [];
      for (let call = 0; call < 80; call++) {
        codes.push(
          (await statusOf(client, services.federation.v1.EnrolmentService.service.Enrol.path))?.code,
        );
      }
      expect(codes[0]).toBe(status.UNAUTHENTICATED);
      expect(codes.filter((code) => code === status.RESOURCE_EXHAUSTED).length).toBeGreaterThan(5);
    } finally {
      await other.close();
    }
  });
});

describe('plain text', () => {
  it('is not spoken', async () => {
    const client = new Client(federation.address, ChannelCredentials.createInsecure(), {
      'grpc.enable_retries': 0,
    });
    clients.push(client);
    expect((await statusOf(client, HEALTH.path))?.code).toBe(status.UNAVAILABLE);
  });
});

function memberClient(server: FederationServer, identity: MemberIdentity): Client {
  const authority = server.trust.federation.authority.certificate.toString();
  const client = new Client(
    server.address,
    federationCredentials(authority, identity),
    FEDERATION_CHANNEL_OPTIONS,
  );
  clients.push(client);
  return client;
}

/** The status that a stream ends with. */
function endOf(call: ClientReadableStream<unknown>): Promise<number> {
  call.on('error', () => {});
  return new Promise((resolve) => call.on('status', ({ code }) => resolve(code)));
}

/** TrainingService whose streams say one thing and never end. */
function openEnded() {
  const { service } = services.training.v1.TrainingService;
  const implementation = Object.fromEntries(
    Object.keys(service).map((name) => [name, (call: { write(message: object): void }) => call.write({})]),
  );
  return {
    name: 'stoa.training.v1.TrainingService',
    definition: meteredDefinition(service),
    implementation: implementation as never,
  };
}
