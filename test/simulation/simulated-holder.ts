// A parameter process: production's tables behind calls that may find it gone or frozen. It joins, its heartbeats keep
// its place, it leaves, and one that is started again on its node knows nothing.

import { StoaError } from '../../common/errors.js';
import type { Random } from '../../common/random.js';
import { HeldBlockPush, HeldStepPush } from '../../coordinator/holder/held-push.js';
import { HeldTables, sideOfTables, stepsOf } from '../../coordinator/holder/held-tables.js';
import { memoryStorage } from '../../coordinator/holder/row-storage.js';
import type { Side } from '../../models/csr.js';
import type { BlockHeader__Output } from '../../proto/generated/stoa/parameters/v1/BlockHeader.js';
import type { PushBlockRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushBlockRequest.js';
import type { PushBlockResponse } from '../../proto/generated/stoa/parameters/v1/PushBlockResponse.js';
import type { PushStepRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushStepRequest.js';
import type { PushStepResponse } from '../../proto/generated/stoa/parameters/v1/PushStepResponse.js';
import type { StepHeader__Output } from '../../proto/generated/stoa/parameters/v1/StepHeader.js';
import type { EventQueue } from './event-queue.js';
import type { Oracle } from './oracle.js';
import type { SimulatedCoordinator } from './simulated-coordinator.js';
import type { Reply } from './simulated-life.js';
import { SimulatedMachine } from './simulated-machine.js';
import { type SimulatedNetwork, STALL_MS } from './simulated-network.js';
import { RUN_ID } from './simulated-plan.js';
import type { Trace } from './trace.js';

interface World {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly network: SimulatedNetwork;
  readonly coordinator: SimulatedCoordinator;
  readonly oracle: Oracle;
  readonly trace: Trace;
}

export interface Chunk {
  readonly rowStart: number;
  readonly rows: Float32Array;
}

export const HOLDER_TIMING = { heartbeatMs: 1000, sessionTimeoutMs: 3000 };
const RETRY_MS = 500;
const CALL_MS = 4000;
/** How long the coordinator may take to save what only this process has. */
const GOODBYE_MS = 10_000;
/** Rows of one chunk of a pull, as of the coordinator's. */
const CHUNK_ROWS = 5;

export class SimulatedHolder {
  readonly tables = new HeldTables(memoryStorage);
  readonly node: string;
  readonly #world: World;
  readonly #machine: SimulatedMachine;
  #id: string | undefined;
  #term = 0;
  #lastHeardMs = 0;
  #isLeaving = false;

  constructor(world: World, node: string, clockRate: number) {
    this.#world = world;
    this.node = node;
    this.#machine = new SimulatedMachine(world, { node, name: 'parameters', clockRate });
    this.#join();
  }

  get isGone(): boolean {
    return this.#machine.isGone;
  }

  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** The place that the coordinator has given it, which it may have lost since. */
  get id(): string | undefined {
    return this.#id;
  }

  crash(): void {
    this.#machine.isGone = true;
    this.#machine.say('crashes');
    this.#forgetPlace();
  }

  freeze(forMs: number): void {
    this.#machine.freeze(forMs);
  }

  /** As on SIGTERM: it stays until its rows are needed no more, or for as long as it waits. */
  leave(): void {
    const id = this.#id;
    this.#isLeaving = true;
    this.#machine.say('leaves');
    if (id === undefined) {
      this.crash();
      return;
    }
    this.#machine.call<null>(
      (reply) => this.#world.coordinator.endHolder(id, reply),
      () => this.crash(),
      () => this.crash(),
      GOODBYE_MS,
    );
  }

  /** Answers a call with what it comes to, when the machine is awake. */
  serve<T>(reply: (reply: Reply<T>) => void, act: () => T): void {
    this.#machine.awake(() => this.#answering(reply, () => reply({ value: act() })));
  }

  /** Rows of a side at a clock, chunk by chunk as they are sent. */
  pullRows(
    side: Side,
    clock: number,
    ranges: readonly { rowStart: number; rowEnd: number }[],
    reply: (reply: Reply<readonly Chunk[]>) => void,
  ): void {
    this.#machine.awake(() =>
      this.#answering(reply, () => {
        const pieces = this.#readerOf(side).pieces(ranges);
        const chunks: Chunk[] = [];
        const send = (piece: number, row: number): void => {
          this.#answering(reply, () => {
            const range = pieces[piece];
            if (range === undefined) return reply({ value: chunks });
            const rowEnd = Math.min(range.rowEnd, row + CHUNK_ROWS);
            const reader = this.#readerOf(side);
            chunks.push({ rowStart: row, rows: reader.at(clock, { rowStart: row, rowEnd }).slice() });
            const isOver = rowEnd === range.rowEnd;
            const next = isOver ? (pieces[piece + 1]?.rowStart ?? 0) : rowEnd;
            this.#soon(() => send(isOver ? piece + 1 : piece, next));
          });
        };
        send(0, pieces[0]?.rowStart ?? 0);
      }),
    );
  }

  pushBlock(
    header: BlockHeader__Output,
    parts: readonly (PushBlockRequest__Output | undefined)[],
    isSending: () => boolean,
    reply: (reply: Reply<PushBlockResponse>) => void,
  ): void {
    this.#push(() => new HeldBlockPush(this.tables, header), header, { parts, isSending }, reply);
  }

  pushStep(
    header: StepHeader__Output,
    parts: readonly (PushStepRequest__Output | undefined)[],
    isSending: () => boolean,
    reply: (reply: Reply<PushStepResponse>) => void,
  ): void {
    this.#push(() => new HeldStepPush(this.tables, header), header, { parts, isSending }, reply);
  }

  pullStep(
    { block, items }: { block: number; items: Int32Array },
    reply: (reply: Reply<{ users: Float32Array; items: Float32Array }>) => void,
  ): void {
    this.serve(reply, () => {
      const steps = stepsOf(this.tables.ofRun(RUN_ID));
      return { users: steps.usersOf(block).rows, items: steps.itemsFor(block, items) };
    });
  }

  #push<Part, Response extends PushBlockResponse | PushStepResponse>(
    begin: () => { outlook: string; take(part: Part): void; end(): Response },
    header: BlockHeader__Output | StepHeader__Output,
    { parts, isSending }: { parts: readonly (Part | undefined)[]; isSending: () => boolean },
    reply: (reply: Reply<Response>) => void,
  ): void {
    this.#machine.awake(() =>
      this.#answering(reply, () => {
        const push = begin();
        if (push.outlook !== 'held') {
          const disposition = push.outlook === 'stale' ? 'DISPOSITION_STALE' : 'DISPOSITION_DUPLICATE';
          return reply({ value: { disposition } as Response });
        }
        const next = (n: number): void =>
          this.#answering(reply, () => {
            if (n === parts.length) {
              const value = push.end();
              const { leaseId, block } = header;
              const isHeld = value.disposition === 'DISPOSITION_HELD';
              if (isHeld) this.#world.oracle.handedIn(this.tables.ofRun(RUN_ID).holderId, leaseId, block);
              this.#look();
              return reply({ value });
            }
            const part = isSending() ? parts[n] : undefined;
            if (part === undefined) return;
            push.take(part);
            this.#soon(() => next(n + 1));
          });
        next(0);
      }),
    );
  }

  /** What is kept for later has a bound. */
  #look(): void {
    const open = this.tables.ofRun(RUN_ID);
    const kept = [...Object.values(open.sides), open.steps].map((table) => table?.heldMost ?? 0);
    this.#world.oracle.holds(Math.max(...kept));
  }

  #readerOf(side: Side) {
    const open = this.tables.ofRun(RUN_ID);
    const { steps } = open;
    if (steps === undefined) return sideOfTables(open, side);
    return {
      pieces: (ranges: readonly { rowStart: number; rowEnd: number }[]) => steps.pieces(side, ranges),
      at: (clock: number, range: { rowStart: number; rowEnd: number }) => steps.keptAt(side, clock, range),
    };
  }

  #join(): void {
    this.#machine.call<{ id: string; term: number }>(
      (reply) => this.#world.coordinator.registerHolder(this.node, reply),
      ({ id, term }) => {
        if (this.#isLeaving) return;
        if (term < this.#term) return this.#machine.later(RETRY_MS, () => this.#join());
        this.#term = term;
        this.#id = id;
        this.tables.join(id, term);
        this.#lastHeardMs = this.#world.queue.nowMs;
        this.#machine.say('has place', id);
        this.#heartbeat(id);
      },
      () => this.#machine.later(RETRY_MS, () => this.#join()),
      CALL_MS,
    );
  }

  #heartbeat(id: string): void {
    if (this.#id !== id || this.#isLeaving) return;
    const { queue, coordinator } = this.#world;
    const { heartbeatMs, sessionTimeoutMs } = HOLDER_TIMING;
    if (queue.nowMs - this.#lastHeardMs > sessionTimeoutMs) {
      this.#joinAgain(id);
      return;
    }
    this.#machine.call<null>(
      (reply) => coordinator.heartbeatHolder(id, reply),
      () => {
        this.#lastHeardMs = queue.nowMs;
      },
      (error) => error === 'STOA_SESSION_OVER' && this.#joinAgain(id),
      sessionTimeoutMs / 2,
    );
    this.#machine.later(heartbeatMs, () => this.#heartbeat(id));
  }

  #joinAgain(id: string): void {
    if (this.#id !== id || this.#isLeaving) return;
    this.#machine.say('was given up');
    this.#forgetPlace();
    this.#join();
  }

  #forgetPlace(): void {
    const { oracle, coordinator } = this.#world;
    if (this.#id !== undefined) oracle.holderDied(this.#id, coordinator.frozenMs);
    this.#id = undefined;
  }

  #answering<T>(reply: (reply: Reply<T>) => void, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof StoaError)) throw error;
      reply({ error: error.code });
    }
  }

  #soon(act: () => void): void {
    const { random, network } = this.#world;
    const isStalled = !network.isCalm && random.next() < 0.02;
    this.#machine.later(random.next() * (isStalled ? STALL_MS : 10), act);
  }
}
