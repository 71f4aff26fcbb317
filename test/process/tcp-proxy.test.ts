// The proxy that chaos puts between workers and a coordinator, over real sockets: each test compares what arrives with
// what was sent.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TcpProxy } from '../../bench/faults/tcp-proxy.js';
import { createRandom } from '../../common/random.js';

/** Long enough for bytes to cross loopback. */
const CROSSING_MS = 100;

let server: Server;
let proxy: TcpProxy;
let near: Socket;
let far: Socket;

beforeEach(async () => {
  server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  proxy = await TcpProxy.start({ targetPort: port, random: createRandom(3) });
  near = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
  [far] = (await once(server, 'connection')) as [Socket];
  for (const socket of [near, far]) socket.on('error', () => {});
});

afterEach(async () => {
  near.destroy();
  far.destroy();
  await proxy.close();
  await new Promise((resolve) => {
    server.close(resolve);
  });
});

/** What a socket has received so far. */
function received(socket: Socket): () => string {
  let text = '';
  socket.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  return () => text;
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('close', () => resolve());
  });
}

describe('the proxy', () => {
  it('hands on both directions, whole and in order, and counts them', async () => {
    const atFar = received(far);
    const atNear = received(near);
    const large = Array.from({ length: 50_000 }, (_, n) => `${n},`).join('');
    near.end(large);
    far.end('answer');
    await Promise.all([once(near, 'end'), once(far, 'end')]);
    expect(atFar()).toBe(large);
    expect(atNear()).toBe('answer');
    expect(proxy.passedBytes).toEqual({ up: large.length, down: 6 });
  });

  it('keeps the order of what it delays', async () => {
    const atFar = received(far);
    proxy.delay(30);
    const startMs = performance.now();
    for (let n = 0; n < 10; n++) {
      near.write(`${n}`);
      await sleep(2);
    }
    near.end();
    await once(far, 'end');
    expect(atFar()).toBe('0123456789');
    expect(performance.now() - startMs).toBeGreaterThan(20);
  });

  it('holds one direction back while the other flows, and loses nothing', async () => {
    const atFar = received(far);
    const atNear = received(near);
    proxy.stall('up');
    near.write('up');
    far.write('down');
    await sleep(CROSSING_MS);
    expect([atFar(), atNear()]).toEqual(['', 'down']);
    proxy.resume('up');
    await once(far, 'data');
    expect(atFar()).toBe('up');
  });

  it('hands on what it held back although both have ended meanwhile', async () => {
    const atFar = received(far);
    near.resume();
    proxy.stall('up');
    near.end('late');
    far.end();
    await closed(near);
    expect(atFar()).toBe('');
    proxy.resume('up');
    await closed(far);
    expect(atFar()).toBe('late');
    await vi.waitFor(() => expect(proxy.connections).toBe(0));
  });

  it('does not read on for a receiver that it holds up', async () => {
    proxy.stall('up');
    const piece = Buffer.alloc(1 << 20);
    for (let n = 0; n < 32; n++) near.write(piece);
    await sleep(3 * CROSSING_MS);
    expect(near.writableLength).toBeGreaterThan(8 << 20);
  });

  it('cuts all connections, and takes new ones', async () => {
    const bothClosed = Promise.all([closed(near), closed(far)]);
    expect(proxy.cut()).toBe(1);
    await bothClosed;
    expect(proxy.connections).toBe(0);
    near = connect({ port: proxy.port, host: '127.0.0.1' });
    [far] = (await once(server, 'connection')) as [Socket];
    const atFar = received(far);
    near.end('again');
    await once(far, 'end');
    expect(atFar()).toBe('again');
  });

  it('ends one direction, and goes on with the other', async () => {
    const atFar = received(far);
    const atNear = received(near);
    const ended = once(far, 'end');
    far.resume();
    expect(proxy.halfClose('up')).toBe(1);
    await ended;
    near.write('lost');
    far.write('still here');
    await once(near, 'data');
    await sleep(CROSSING_MS);
    expect([atFar(), atNear()]).toEqual(['', 'still here']);
  });

  it('hangs up on who calls while nobody is behind it', async () => {
    far.destroy();
    await new Promise((resolve) => {
      server.close(resolve);
    });
    const late = connect({ port: proxy.port, host: '127.0.0.1' }).on('error', () => {});
    await closed(late);
    expect(late.destroyed).toBe(true);
  });
});
