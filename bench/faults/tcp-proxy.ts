// A TCP proxy that spoils what goes through it: late, held back, cut off, or open in one direction only.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Transform } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../common/random.js';

/** `up`: from who connects to the target; `down`: back. */
export type Direction = 'up' | 'down';

interface Pair {
  cut(): void;
  halfClose(direction: Direction): void;
}

export class TcpProxy {
  readonly #server: Server;
  readonly #targetPort: number;
  readonly #random: Random;
  readonly #pairs = new Set<Pair>();
  readonly #stalled: Record<Direction, Gate | undefined> = {
    up: undefined,
    down: undefined,
  };
  readonly #passedBytes: Record<Direction, number> = { up: 0, down: 0 };
  #delayMsMax = 0;

  private constructor(server: Server, targetPort: number, random: Random) {
    this.#server = server;
    this.#targetPort = targetPort;
    this.#random = random;
    server.on('connection', (near) => this.#join(near));
  }

  /**
   * Listens on loopback.
   *
   * @param options.targetPort of loopback too; nobody need listen there yet.
   * @param options.port @default a free one
   * @param options.random decides how late each piece is.
   */
  static async start(options: { targetPort: number; port?: number; random: Random }): Promise<TcpProxy> {
    // A half-closed connection must stay open in its other direction.
    const server = createServer({ allowHalfOpen: true });
    server.listen(options.port ?? 0, '127.0.0.1');
    await once(server, 'listening');
    return new TcpProxy(server, options.targetPort, options.random);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Bytes that were handed on since the start. */
  get passedBytes(): Readonly<Record<Direction, number>> {
    return this.#passedBytes;
  }

  /**
   * Each piece of each direction waits up to so long, and the next behind it: order is kept, and what is large becomes
   * slow. 0: none.
   */
  delay(msMax: number): void {
    this.#delayMsMax = msMax;
  }

  /** Hands nothing on in a direction, and reads no more than buffers hold, until `resume`. */
  stall(direction: Direction): void {
    this.#stalled[direction] ??= closedGate();
  }

  resume(direction: Direction): void {
    this.#stalled[direction]?.resolve();
    this.#stalled[direction] = undefined;
  }

  /** Resets all connections; new ones are taken. @returns how many there were. */
  cut(): number {
    const pairs = [...this.#pairs];
    for (const pair of pairs) pair.cut();
    this.#pairs.clear();
    return pairs.length;
  }

  /** Ends one direction of all connections for good: what comes there afterwards is lost. @returns how many there were. */
  halfClose(direction: Direction): number {
    for (const pair of this.#pairs) pair.halfClose(direction);
    return this.#pairs.size;
  }

  async close(): Promise<void> {
    this.cut();
    for (const direction of ['up', 'down'] as const) this.resume(direction);
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #join(near: Socket): void {
    const far = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true });
    const holds = { up: this.#hold('up'), down: this.#hold('down') };
    const ends = { up: [near, far], down: [far, near] } as const;
    const pair: Pair = {
      cut: () => {
        for (const one of [holds.up, holds.down]) one.destroy();
        for (const socket of [near, far]) socket.resetAndDestroy();
      },
      halfClose: (direction) => {
        const sink = ends[direction][1];
        holds[direction].unpipe(sink).resume();
        sink.end();
      },
    };
    this.#pairs.add(pair);
    for (const direction of ['up', 'down'] as const) {
      const [source, sink] = ends[direction];
      source.setNoDelay(true);
      source.pipe(holds[direction]).pipe(sink);
      // One side that fails fails the other, as on a wire without a proxy.
      source.on('error', () => sink.resetAndDestroy());
      source.on('close', (hadError) => {
        if (near.closed && far.closed) this.#pairs.delete(pair);
        if (!hadError) return;
        // Without an error what is held is still to arrive.
        holds[direction].destroy();
        sink.destroy();
      });
    }
  }

  #hold(direction: Direction): Transform {
    const hold: Transform = new Transform({
      transform: (piece: Buffer, _encoding, done) => {
        void this.#turnOf(direction).then(() => {
          if (hold.destroyed) return;
          this.#passedBytes[direction] += piece.length;
          done(null, piece);
        });
      },
    });
    return hold;
  }

  async #turnOf(direction: Direction): Promise<void> {
    if (this.#delayMsMax > 0) await sleep(this.#random.next() * this.#delayMsMax);
    for (let stalled = this.#stalled[direction]; stalled !== undefined; stalled = this.#stalled[direction])
      await stalled.promise;
  }
}

/** What waits for a stall to end. */
interface Gate {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

function closedGate(): Gate {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
