import type { Random } from '../../common/random.js';
import type { Lease } from '../../coordinator/schedule/events.js';
import type { EventQueue } from './event-queue.js';
import type { LeaseReply, SimulatedCoordinator } from './simulated-coordinator.js';
import type { SimulatedNetwork } from './simulated-network.js';

const RETRY_MS = 1000;

export interface WorkerTraits {
  name: string;
  threads: number;
  /** Milliseconds a unit of work. */
  msPerWork: number;
  /** Probability that a block fails. */
  failure: number;
}

/** A worker that registers, heartbeats, leases, solves, delivers and repeats what is not answered. */
export class SimulatedWorker {
  readonly #queue: EventQueue;
  readonly #random: Random;
  readonly #network: SimulatedNetwork;
  readonly #coordinator: SimulatedCoordinator;
  readonly #traits: WorkerTraits;
  #isGone = false;
  #frozenUntilMs = 0;
  #session: string | undefined;
  /** Leases by id that were not delivered yet. */
  readonly #held = new Map<number, Lease>();
  #request: string | undefined;
  #requests = 0;
  #busy = 0;

  constructor(
    world: {
      queue: EventQueue;
      random: Random;
      network: SimulatedNetwork;
      coordinator: SimulatedCoordinator;
    },
    traits: WorkerTraits,
  ) {
    this.#queue = world.queue;
    this.#random = world.random;
    this.#network = world.network;
    this.#coordinator = world.coordinator;
    this.#traits = traits;
    this.#register();
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  crash(): void {
    this.#isGone = true;
  }

  leave(): void {
    const session = this.#session;
    this.#isGone = true;
    if (session === undefined) return;
    this.#network.send(() => this.#coordinator.giveBack(session, [...this.#held.keys()]));
    this.#network.send(() => this.#coordinator.leave(session));
  }

  freeze(forMs: number): void {
    this.#frozenUntilMs = this.#queue.nowMs + forMs;
  }

  #register(): void {
    this.#network.send(() =>
      this.#coordinator.register(this.#traits, (sessionId) => {
        this.#network.send(() => this.#awake(() => this.#begin(sessionId)));
      }),
    );
    this.#later(RETRY_MS, () => {
      if (this.#session === undefined) this.#register();
    });
  }

  #begin(sessionId: string): void {
    if (this.#session !== undefined) return;
    this.#session = sessionId;
    this.#heartbeat(sessionId);
    this.#ask();
  }

  #heartbeat(sessionId: string): void {
    if (this.#session !== sessionId) return;
    this.#network.send(() =>
      this.#coordinator.heartbeat(sessionId, (isAlive) => {
        this.#network.send(() => this.#awake(() => isAlive || this.#startOver(sessionId)));
      }),
    );
    this.#later(1000, () => this.#heartbeat(sessionId));
  }

  #startOver(sessionId: string): void {
    if (this.#session !== sessionId) return;
    this.#session = undefined;
    this.#request = undefined;
    this.#held.clear();
    this.#register();
  }

  #ask(): void {
    const session = this.#session;
    const room = 2 * this.#traits.threads - this.#held.size;
    if (session === undefined || this.#request !== undefined || room <= 0) return;
    this.#request = `r${this.#requests++}`;
    this.#repeatAsk(session, this.#request, room);
  }

  #repeatAsk(session: string, request: string, room: number): void {
    if (this.#session !== session || this.#request !== request) return;
    this.#network.send(() =>
      this.#coordinator.lease(session, request, room, (reply) => {
        this.#network.send(() => this.#awake(() => this.#answered(session, request, reply)));
      }),
    );
    this.#later(2 * RETRY_MS, () => this.#repeatAsk(session, request, room));
  }

  #answered(session: string, request: string, reply: LeaseReply): void {
    if (this.#session !== session || this.#request !== request) return;
    this.#request = undefined;
    if ('refused' in reply) {
      this.#startOver(session);
      return;
    }
    for (const lease of reply.leases) this.#held.set(lease.leaseId, lease);
    for (const lease of reply.leases) this.#solve(session, lease);
    this.#ask();
  }

  #solve(session: string, lease: Lease): void {
    const waitMs = Math.floor(this.#busy++ / this.#traits.threads) * 20;
    const solveMs = lease.block.work * this.#traits.msPerWork * (0.5 + this.#random.next());
    this.#later(waitMs + solveMs, () => {
      this.#busy--;
      if (this.#session !== session) return;
      if (this.#random.next() < this.#traits.failure) {
        this.#held.delete(lease.leaseId);
        this.#network.send(() => this.#coordinator.fail(session, lease.leaseId, false));
        this.#ask();
      } else {
        this.#deliver(session, lease);
      }
    });
  }

  #deliver(session: string, lease: Lease): void {
    if (this.#session !== session || !this.#held.has(lease.leaseId)) return;
    const { block, phase } = lease;
    const result = { runId: 'run', side: phase.side, block: block.index, clock: phase.priorClock + 1 };
    this.#network.send(() =>
      this.#coordinator.done(session, lease.leaseId, result, () => {
        this.#network.send(() =>
          this.#awake(() => {
            this.#held.delete(lease.leaseId);
            this.#ask();
          }),
        );
      }),
    );
    this.#later(RETRY_MS, () => this.#deliver(session, lease));
  }

  #later(delayMs: number, run: () => void): void {
    this.#queue.after(delayMs, () => this.#awake(run));
  }

  #awake(run: () => void): void {
    if (this.#isGone) return;
    if (this.#queue.nowMs >= this.#frozenUntilMs) run();
    else this.#queue.at(this.#frozenUntilMs, () => this.#awake(run));
  }
}
