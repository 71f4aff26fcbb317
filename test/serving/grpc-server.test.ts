// Shows the server beneath all services: TLS, bounds in time, errors with their details.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Metadata, type ServiceError, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { RecommendClient } from '../../client/recommend-client.js';
import { NotFoundError, StoaError, UsageError } from '../../common/errors.js';
import { fromServiceError } from '../../common/grpc-client-errors.js';
import { cutUtf8, decodeStatusDetails, STATUS_DETAILS_KEY } from '../../common/grpc-details.js';
import { channelCredentials, type TlsOptions } from '../../common/grpc-security.js';
import { services } from '../../common/grpc-services.js';
import { toServiceError, unary } from '../../coordinator/grpc-errors.js';
import { type GrpcServer, startGrpcServer } from '../../coordinator/grpc-server.js';
import { watchHealth } from '../support/grpc-health.js';
import { LOOPBACK } from '../support/serving-fixture.js';

const { service: definition } = services.recommend.v1.RecommendService;

function serve(implementation: UntypedServiceImplementation, tls: TlsOptions = {}): Promise<GrpcServer> {
  const name = 'stoa.recommend.v1.RecommendService';
  return startGrpcServer({ listen: LOOPBACK, tls, services: [{ name, definition, implementation }] });
}

function detailsOf(error: ServiceError) {
  return decodeStatusDetails(error.metadata.get(STATUS_DETAILS_KEY)[0] as Buffer);
}

describe('closing a server', () => {
  it('lets a call end that takes less than the grace time', async () => {
    let hasArrived = () => {};
    const arrived = new Promise<void>((resolve) => {
      hasArrived = resolve;
    });
    const server = await serve({
      Recommend: unary(async () => {
        hasArrived();
        await new Promise((resolve) => setTimeout(resolve, 150));
        return { modelVersion: 'slow' };
      }),
    });
    const client = new RecommendClient({ address: server.address });
    const call = client.recommend({ userId: 'u' });
    await arrived;
    await server.close(5000);
    expect((await call).modelVersion).toBe('slow');
    client.close();
  });

  it('answers UNAVAILABLE to a call that takes longer, and tells its handler', async () => {
    const cancelled: boolean[] = [];
    let hasArrived = () => {};
    const arrived = new Promise<void>((resolve) => {
      hasArrived = resolve;
    });
    const server = await serve({
      Recommend: (call: { on(event: 'cancelled', listener: () => void): void }) => {
        hasArrived();
        call.on('cancelled', () => cancelled.push(true));
      },
    });
    const raw = new services.recommend.v1.RecommendService(
      `127.0.0.1:${server.address.port}`,
      channelCredentials('127.0.0.1', {}),
    );
    const error = new Promise<ServiceError | null>((resolve) => {
      raw.Recommend({ userId: 'u' }, (reason) => resolve(reason));
    });
    await arrived;
    const startMs = performance.now();
    await server.close(200);
    expect(performance.now() - startMs).toBeGreaterThan(150);
    expect((await error)?.code).toBe(status.UNAVAILABLE);
    expect((await error)?.details).toContain('shutting down');
    expect(cancelled).toEqual([true]);
    raw.close();
  });
});

describe('somebody who watches the health of a server', () => {
  it('is told when it stops serving, and does not hold up its end', async () => {
    const server = await serve({});
    server.setServing('', true);
    const watcher = watchHealth(server.address);
    await watcher.next();
    const startMs = performance.now();
    await server.close();
    expect(performance.now() - startMs).toBeLessThan(5000);
    expect(watcher.seen).toEqual(['SERVING', 'NOT_SERVING']);
    watcher.close();
  });
});

const folder = mkdtempSync(path.join(os.tmpdir(), 'stoa-'));
const certificate = { tlsCert: path.join(folder, 'cert.pem'), tlsKey: path.join(folder, 'key.pem') };
const hasCertificate = makeCertificate();

function makeCertificate(): boolean {
  try {
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const files = ['-keyout', certificate.tlsKey, '-out', certificate.tlsCert];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...key, ...subject, ...files], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasCertificate)('a server with TLS (skipped without the openssl program)', () => {
  afterAll(() => rmSync(folder, { recursive: true }));

  it('answers a client that trusts its certificate, and no other', async () => {
    const server = await serve({ Recommend: unary(() => ({ modelVersion: 'secret' })) }, certificate);
    // By name: TLS knows no server names that are IP addresses.
    const address = { host: 'localhost', port: server.address.port };
    const trusting = new RecommendClient({ address, tlsCa: certificate.tlsCert });
    const plain = new RecommendClient({ address, deadlineMs: 1000 });
    expect((await trusting.recommend({ userId: 'u' })).modelVersion).toBe('secret');
    const error: unknown = await plain.recommend({ userId: 'u' }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'STOA_UNREACHABLE' });
    expect((error as Error).message).toContain('TLS');
    trusting.close();
    plain.close();
    await server.close(0);
  });

  it('does not answer on a key without its certificate', async () => {
    await expect(serve({}, { tlsKey: certificate.tlsKey })).rejects.toThrow('--tls-cert and --tls-key');
    await expect(serve({}, { ...certificate, tlsKey: '/no/such.pem' })).rejects.toBeInstanceOf(NotFoundError);
  });
});

describe('an address that cannot be bound', () => {
  it('is named, with what to do', async () => {
    const start = startGrpcServer({
      listen: { host: '203.0.113.7', port: 9 },
      tls: { insecure: true },
      services: [],
    });
    await expect(start).rejects.toThrow(
      /cannot listen on 203\.0\.113\.7:9 .* give an address of this machine/,
    );
  });
});

describe('errors on the wire', () => {
  it('keep class, code, message and fields from server to client', () => {
    const sent = new UsageError('STOA_USAGE', 'limit is -1; give 1 to 1000', {
      fields: { field: 'limit', found: -1 },
    });
    const error = toServiceError(sent);
    expect(detailsOf(error)?.violations).toEqual([{ field: 'limit', description: sent.message }]);
    const received = fromServiceError(error);
    expect(received).toBeInstanceOf(UsageError);
    expect(received).toMatchObject({ code: sent.code, message: sent.message });
    expect(received.fields).toEqual({ field: 'limit', found: '-1' });
  });

  it('tell an overloaded server’s clients when to come back', () => {
    const error = toServiceError(new StoaError('STOA_BUSY', 'busy', { fields: { retryAfterMs: 2500 } }));
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(detailsOf(error)?.retryAfterMs).toBe(2500);
    expect(detailsOf(toServiceError(new StoaError('STOA_BUSY', 'busy')))?.retryAfterMs).toBe(1000);
    expect(detailsOf(toServiceError(new StoaError('STOA_DISK_FULL', 'full')))?.retryAfterMs).toBeUndefined();
  });

  it('say nothing of a bug, which is logged instead', () => {
    const logged: object[] = [];
    const bug = new TypeError('secret of /home/ana is undefined');
    const error = toServiceError(bug, { error: (fields) => void logged.push(fields) });
    expect(error.code).toBe(status.INTERNAL);
    expect(error.details).not.toContain('secret');
    expect(error.metadata.getMap()).toEqual({});
    expect(logged).toEqual([{ err: bug }]);
  });

  it('stay within the size of trailers, whatever they hold', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 50 }), fc.nat(2000), (text, times) => {
        const long = text.repeat(times);
        const error = toServiceError(
          new UsageError('STOA_USAGE', long, { fields: { field: long, file: long } }),
        );
        const bytes = (error.metadata.get(STATUS_DETAILS_KEY)[0] as Buffer).length;
        expect(bytes + Buffer.byteLength(error.details)).toBeLessThan(6000);
        expect(() => encodeURI(error.details)).not.toThrow();
      }),
    );
  });

  it('keep a message of usual length exactly', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 100 }), (text) => {
        expect(fromServiceError(toServiceError(new UsageError('STOA_USAGE', text))).message).toBe(text);
      }),
    );
  });

  it('are cut between characters', () => {
    expect(cutUtf8('学学学', 9)).toBe('学学学');
    expect(cutUtf8('学学学学', 9)).toBe('学学…');
    expect(cutUtf8('学学学学', 11)).toBe('学学…');
    expect(cutUtf8('a\ud800b', 9)).toBe('a\ufffdb');
  });

  it('without anything of ours still make sense', () => {
    const foreign = (code: status, details: string) =>
      fromServiceError(Object.assign(new Error(details), { code, details, metadata: new Metadata() }), 'h:1');
    expect(foreign(status.UNAVAILABLE, 'refused')).toMatchObject({ code: 'STOA_UNREACHABLE' });
    expect(foreign(status.UNAVAILABLE, 'refused').message).toContain('h:1');
    expect(foreign(status.UNIMPLEMENTED, 'x')).toMatchObject({ code: 'STOA_UNIMPLEMENTED' });
    expect(foreign(status.PERMISSION_DENIED, 'x')).toMatchObject({ code: 'STOA_ACCESS' });
    expect(foreign(status.UNKNOWN, 'x')).toMatchObject({ code: 'STOA_INTERNAL' });
    expect(fromServiceError(new TypeError('x'), 'h:1')).toMatchObject({ code: 'STOA_INTERNAL' });
  });
});
