// A worker as a process: registers, sends heartbeats, leases, pulls, computes, pushes, and repeats or gives up what is
// not answered. Some of them lie.

import type { Random } from '../../common/random.js';
import { encodeGram, encodeRows } from '../../common/row-chunks.js';
import { sideName } from '../../common/sides.js';
import type { Lease } from '../../coordinator/schedule/events.js';
import { otherSide, type Side } from '../../models/csr.js';
import type { BlockHeader__Output } from '../../proto/generated/stoa/parameters/v1/BlockHeader.js';
import type { HeldPart__Output } from '../../proto/generated/stoa/parameters/v1/HeldPart.js';
import type { PushBlockRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushBlockRequest.js';
import type { PushBlockResponse } from '../../proto/generated/stoa/parameters/v1/PushBlockResponse.js';
import type { PushStepRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushStepRequest.js';
import type { PushStepResponse } from '../../proto/generated/stoa/parameters/v1/PushStepResponse.js';
import type { RowsChunk__Output } from '../../proto/generated/stoa/parameters/v1/RowsChunk.js';
import type { StepHeader__Output } from '../../proto/generated/stoa/parameters/v1/StepHeader.js';
import { RowClocks, type RowRange } from '../../worker/row-clocks.js';
import type { EventQueue } from './event-queue.js';
import type { Oracle, SolvedStep } from './oracle.js';
import { type BlockSolution, gramOf, solveBlock } from './phase-model.js';
import type { Placement, PulledRows, SimulatedCoordinator } from './simulated-coordinator.js';
import type { Chunk, SimulatedHolder } from './simulated-holder.js';
import type { Reply } from './simulated-life.js';
import { SimulatedMachine } from './simulated-machine.js';
import type { SimulatedNetwork } from './simulated-network.js';
import { clocksOf, FACTORS, type SimulatedPlan } from './simulated-plan.js';
import { type StepSolution, solveStep } from './step-model.js';
import type { Trace } from './trace.js';

/** How a worker lies about what it computed; the first kinds are refused, the last is only found by computing twice. */
export type Lie =
  | 'nan'
  | 'shape'
  | 'foreign-lease'
  | 'other-block'
  | 'other-clock'
  | 'greed'
  | 'no-rows'
  | 'wrong';

export interface WorkerTraits {
  /** Of the machine: links are cut by it. */
  readonly node: string;
  /** Shown to people; two may share one. */
  readonly name: string;
  readonly threads: number;
  /** Milliseconds a unit of work. */
  readonly msPerWork: number;
  /** Probability that a block fails by chance. */
  readonly failure: number;
  /** Its clock runs so many times as fast as it should. */
  readonly clockRate: number;
  readonly lie?: { readonly kind: Lie; readonly share: number };
}

interface World {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly network: SimulatedNetwork;
  readonly coordinator: SimulatedCoordinator;
  readonly oracle: Oracle;
  readonly trace: Trace;
  readonly plan: SimulatedPlan;
  /** The parameter process that lives on a node now. */
  readonly holderAt: (node: string) => SimulatedHolder | undefined;
}

/** A call to a parameter process. */
type HolderCall<T> = (holder: SimulatedHolder, reply: (reply: Reply<T>) => void) => void;

const HEARTBEAT_MS = 1000;
const RETRY_MS = 1000;
/** After which a call is given up. */
const CALL_MS = 4000;
/** Without an answer for this long a session is over. */
const SILENCE_MS = 3000;

/** A copy of one side, as a worker keeps it. */
interface Mirror {
  readonly table: Float32Array;
  readonly clocks: RowClocks;
  gram?: { readonly clock: number; readonly value: Float64Array };
}

export class SimulatedWorker {
  readonly #world: World;
  readonly #traits: WorkerTraits;
  readonly #machine: SimulatedMachine;
  #isCalm = false;
  #session: string | undefined;
  #lastHeardMs = 0;
  /** Leases that were not done with yet. */
  readonly #held = new Map<number, Lease>();
  #waiting: Lease[] = [];
  #running = 0;
  #request: string | undefined;
  #requests = 0;
  #phase = -1;
  /** By how much this session's lies are off: the same each time, so that it agrees with itself. */
  #error = 0;
  #mirrors: Readonly<Record<Side, Mirror>>;
  /** Where the rows are, of this session; undefined: not known yet. */
  #places: Placement | undefined;

  constructor(world: World, traits: WorkerTraits) {
    this.#world = world;
    this.#traits = traits;
    this.#machine = new SimulatedMachine(world, traits);
    this.#mirrors = this.#emptyMirrors();
    this.#register();
  }

  get isGone(): boolean {
    return this.#machine.isGone;
  }

  get node(): string {
    return this.#traits.node;
  }

  get lies(): boolean {
    return this.#traits.lie !== undefined;
  }

  crash(): void {
    this.#machine.isGone = true;
    this.#machine.say('crashes');
    this.#forgetSession();
  }

  /** As on SIGTERM: what it holds goes back. */
  leave(): void {
    const session = this.#session;
    this.#machine.isGone = true;
    this.#machine.say('leaves');
    this.#forgetSession();
    const { network, coordinator } = this.#world;
    if (session !== undefined) network.send(this.node, 'c', () => coordinator.leave(session));
  }

  freeze(forMs: number): void {
    this.#machine.freeze(forMs);
  }

  /** From now on nothing fails by chance. */
  calm(): void {
    this.#isCalm = true;
  }

  /** A call of this session: what is answered after its end is nobody's. */
  #call<T>(
    serve: (reply: (reply: Reply<T>) => void) => void,
    onValue: (value: T) => void,
    onError: (error: string) => void,
    timeoutMs = CALL_MS,
    to = 'c',
  ): void {
    const session = this.#session;
    const guarded =
      <A>(act: (value: A) => void) =>
      (value: A): void => {
        if (this.#session === session) act(value);
      };
    this.#machine.call(serve, guarded(onValue), guarded(onError), timeoutMs, to);
  }

  /** As `#call`, to a parameter process by its place. */
  #callHolder<T>(
    place: number,
    serve: HolderCall<T>,
    onValue: (value: T) => void,
    onError: (error: string) => void,
  ): void {
    const { name } = this.#places![place]!.holder;
    const call = (reply: (reply: Reply<T>) => void) => {
      const holder = this.#world.holderAt(name);
      if (holder !== undefined && !holder.isGone) serve(holder, reply);
    };
    this.#call(call, onValue, onError, CALL_MS, name);
  }

  /** Learns where the rows are, where they are not with the coordinator. */
  #located(lease: Lease, then: () => void): void {
    if (this.#world.plan.holders === 0 || this.#places !== undefined) {
      then();
      return;
    }
    this.#call<Placement>(
      (reply) => this.#world.coordinator.spec(reply),
      (places) => {
        this.#places = places;
        if (this.#held.has(lease.leaseId)) then();
      },
      (error) => this.#held.has(lease.leaseId) && this.#gaveUp(lease, error),
    );
  }

  /** Place of the process with a row. */
  #placeOf(side: Side, row: number): number {
    return this.#places!.findIndex((place) =>
      place[side].some(({ rowStart, rowEnd }) => row >= rowStart && row < rowEnd),
    );
  }

  #register(): void {
    const { name, threads } = this.#traits;
    const info = {
      name,
      threads,
      solvers: ['cholesky', 'sgd'],
      gathers: ['f32'],
      reproducibilityKey: 'simulated',
      gflops: 0,
      factorsMax: 64,
    };
    this.#call<string>(
      (reply) => this.#world.coordinator.register(info, reply),
      (sessionId) => this.#begin(sessionId),
      () => this.#machine.later(RETRY_MS, () => this.#register()),
    );
  }

  #begin(sessionId: string): void {
    this.#session = sessionId;
    this.#error = 0.001 + this.#world.random.next() / 100;
    this.#lastHeardMs = this.#world.queue.nowMs;
    this.#machine.say('has session', sessionId);
    this.#heartbeat(sessionId);
    this.#ask();
  }

  #heartbeat(sessionId: string): void {
    if (this.#session !== sessionId) return;
    if (this.#world.queue.nowMs - this.#lastHeardMs > SILENCE_MS) {
      this.#startOver();
      return;
    }
    this.#call<null>(
      (reply) => this.#world.coordinator.heartbeat(sessionId, reply),
      () => {
        this.#lastHeardMs = this.#world.queue.nowMs;
      },
      (error) => error === 'STOA_SESSION_OVER' && this.#startOver(),
      SILENCE_MS / 2,
    );
    this.#machine.later(HEARTBEAT_MS, () => this.#heartbeat(sessionId));
  }

  #startOver(): void {
    this.#machine.say('starts over');
    this.#forgetSession();
    this.#mirrors = this.#emptyMirrors();
    this.#register();
  }

  #forgetSession(): void {
    const { oracle, coordinator } = this.#world;
    if (this.#session !== undefined) oracle.sessionDied(this.#session, coordinator.frozenMs);
    this.#session = undefined;
    this.#request = undefined;
    this.#held.clear();
    this.#waiting = [];
    this.#running = 0;
    this.#phase = -1;
    this.#places = undefined;
  }

  #ask(): void {
    const session = this.#session;
    const room = 2 * this.#traits.threads - this.#held.size;
    if (session === undefined || this.#request !== undefined || room <= 0) return;
    // A greedy one asks over and over, each time as if it were new.
    for (let n = this.#drawLie() === 'greed' ? 12 : 1; n > 0; n--) {
      this.#request = `r${this.#requests++}`;
      this.#repeatAsk(session, this.#request, room);
    }
  }

  #repeatAsk(session: string, request: string, room: number): void {
    if (this.#session !== session || this.#request !== request) return;
    this.#call<readonly Lease[]>(
      (reply) => this.#world.coordinator.lease(session, request, room, reply),
      (leases) => {
        if (this.#request !== request) return;
        this.#request = undefined;
        for (const lease of leases) this.#take(lease);
        this.#next();
        this.#ask();
      },
      (error) => {
        if (error === 'STOA_SESSION_OVER') return this.#startOver();
        if (error === 'STOA_DEVICE') this.#request = undefined;
        this.#machine.later(RETRY_MS, () =>
          this.#request === undefined ? this.#ask() : this.#repeatAsk(session, request, room),
        );
      },
    );
  }

  /** A lease of a later phase ends what goes on for an earlier one. */
  #take(lease: Lease): void {
    const { index } = lease.phase;
    if (index > this.#phase && this.#world.plan.sync === undefined) {
      for (const old of [...this.#held.values()]) if (old.phase.index < index) this.#done(old);
    }
    this.#phase = Math.max(this.#phase, index);
    this.#held.set(lease.leaseId, lease);
    this.#waiting.push(lease);
  }

  /** Begins what waits, on as many threads as there are. */
  #next(): void {
    while (this.#running < this.#traits.threads && this.#waiting.length > 0) {
      const lease = this.#waiting.shift()!;
      if (!this.#held.has(lease.leaseId)) continue;
      this.#running++;
      this.#located(lease, () => {
        if (this.#world.plan.sync === undefined) this.#pull(lease);
        else this.#pullStep(lease);
      });
    }
  }

  #done(lease: Lease): void {
    if (!this.#held.delete(lease.leaseId)) return;
    const at = this.#waiting.indexOf(lease);
    if (at >= 0) this.#waiting.splice(at, 1);
    else this.#running--;
    this.#next();
    this.#ask();
  }

  /** The network failed it: the lease goes back, without blame. */
  #giveBack(lease: Lease): void {
    const session = this.#session!;
    const { network, coordinator } = this.#world;
    network.send(this.node, 'c', () => coordinator.giveBack(session, [lease.leaseId]));
    this.#done(lease);
  }

  #gaveUp(lease: Lease, error: string): void {
    this.#machine.say('gives up', lease.leaseId, error === '' ? 'without an answer' : error);
    if (error === 'STOA_SESSION_OVER') this.#startOver();
    else if (error === '' || error === 'STOA_USAGE') this.#giveBack(lease);
    else this.#done(lease);
  }

  #pull(lease: Lease): void {
    const { phase, block } = lease;
    const fixed = otherSide(phase.side);
    this.#fetch(
      lease,
      fixed,
      { rowStart: 0, rowEnd: this.#world.plan.rows[fixed] },
      phase.fixedClock,
      true,
      () => this.#fetch(lease, phase.side, block, phase.priorClock, false, () => this.#solve(lease)),
    );
  }

  /** Brings rows of a mirror to a clock; only those that are not there yet travel. */
  #fetch(
    lease: Lease,
    side: Side,
    wanted: RowRange,
    clock: number,
    wantsGram: boolean,
    then: () => void,
  ): void {
    const mirror = this.#mirrors[side];
    const ranges = mirror.clocks.missing(wanted, clock);
    const hasGram = !wantsGram || mirror.gram?.clock === clock;
    if (ranges.length === 0 && hasGram) {
      then();
      return;
    }
    if (this.#places !== undefined && ranges.length > 0) {
      this.#fetchPlaced(lease, side, ranges[0]!, clock, () =>
        this.#fetch(lease, side, wanted, clock, wantsGram, then),
      );
      return;
    }
    // No range at all would ask for the whole side.
    const asked = ranges.length > 0 ? ranges : [{ rowStart: 0, rowEnd: 1 }];
    this.#call<PulledRows>(
      (reply) => this.#world.coordinator.pull({ side, clock, ranges: asked, wantsGram: !hasGram }, reply),
      ({ chunks, gram }) => {
        if (!this.#held.has(lease.leaseId)) return;
        for (const { rowStart, rows } of chunks) {
          mirror.table.set(rows, rowStart * FACTORS);
          mirror.clocks.set({ rowStart, rowEnd: rowStart + rows.length / FACTORS }, clock);
        }
        if (gram !== undefined) mirror.gram = { clock, value: gram };
        this.#fetch(lease, side, wanted, clock, wantsGram, then);
      },
      (error) => this.#held.has(lease.leaseId) && this.#gaveUp(lease, error),
    );
  }

  /** The first rows of a range, from the process that has them. */
  #fetchPlaced(lease: Lease, side: Side, range: RowRange, clock: number, then: () => void): void {
    const place = this.#placeOf(side, range.rowStart);
    const part = this.#places![place]![side].find(({ rowEnd }) => rowEnd > range.rowStart)!;
    const own = { rowStart: range.rowStart, rowEnd: Math.min(range.rowEnd, part.rowEnd) };
    const mirror = this.#mirrors[side];
    this.#callHolder<readonly Chunk[]>(
      place,
      (holder, reply) => holder.pullRows(side, clock, [own], reply),
      (chunks) => {
        if (!this.#held.has(lease.leaseId)) return;
        const { oracle, coordinator } = this.#world;
        for (const { rowStart, rows } of chunks) {
          // Of a session that is over, nothing counts: it may have read tables that are being filled.
          if (coordinator.hasSession(this.#session!)) oracle.pulled(side, clock, rowStart, rows);
          mirror.table.set(rows, rowStart * FACTORS);
          mirror.clocks.set({ rowStart, rowEnd: rowStart + rows.length / FACTORS }, clock);
        }
        then();
      },
      (error) => this.#held.has(lease.leaseId) && this.#gaveUp(lease, error),
    );
  }

  #solve(lease: Lease): void {
    const { phase, block } = lease;
    const fixed = this.#mirrors[otherSide(phase.side)];
    const own = this.#mirrors[phase.side];
    const prior = own.table.slice(block.rowStart * FACTORS, block.rowEnd * FACTORS);
    // What a task reads it reads at one moment: a later pull must not change it.
    const solution = solveBlock(block, fixed.table, fixed.gram!.value, prior);
    this.#compute(lease, () => this.#pushBlock(lease, solution, 3));
  }

  #compute(lease: Lease, then: () => void): void {
    const { msPerWork, failure, lie } = this.#traits;
    const { random } = this.#world;
    // Who wants to pass for another waits until another has the block.
    const dawdleMs = lie?.kind === 'foreign-lease' ? random.next() * 12_000 : 0;
    this.#machine.later(lease.block.work * msPerWork * (0.5 + random.next()) + dawdleMs, () => {
      if (!this.#held.has(lease.leaseId)) return;
      if (this.#isCalm || random.next() >= failure) return then();
      const session = this.#session!;
      const { network, coordinator } = this.#world;
      network.send(this.node, 'c', () => coordinator.fail(session, [lease.leaseId], 'by lot'));
      this.#done(lease);
    });
  }

  #pushBlock(lease: Lease, solution: BlockSolution, attempts: number): void {
    const { block, phase } = lease;
    const lie = this.#drawLie();
    const rows = this.#said(solution.rows, lie);
    if (lie === 'wrong') this.#world.coordinator.lied(this.#session!, lease.leaseId);
    const gram = encodeGram(lie === 'wrong' ? gramOf(rows) : solution.gram);
    const header: BlockHeader__Output = {
      runId: lease.runId,
      sessionId: this.#session!,
      leaseId: lie === 'foreign-lease' ? this.#foreign(lease) : lease.leaseId,
      side: sideName(phase.side),
      block: lie === 'other-block' ? block.index + 1 : block.index,
      clock: phase.priorClock + (lie === 'other-clock' ? 2 : 1),
      gram: this.#world.network.carry(gram.gram),
      crc32c: gram.crc32c,
      solveMs: 1,
      receipt: null,
    };
    const parts: (PushBlockRequest__Output | undefined)[] = this.#chunksOf(
      rows,
      block.rowStart,
      2 * FACTORS,
    ).map((chunk) => ({ part: 'chunk', chunk }) as PushBlockRequest__Output);
    if (lie === 'shape') parts.pop();
    this.#breakOff(parts);
    if (this.#places !== undefined && header.receipt === null) {
      const receipt = { digest: 1, signature: Buffer.alloc(32) };
      if (lie === 'no-rows') {
        this.#tellBlock(lease, { ...header, receipt }, solution, lie, attempts);
        return;
      }
      const place = this.#placeOf(phase.side, block.rowStart);
      const bare = { ...header, gram: Buffer.alloc(0), crc32c: 0 };
      this.#callHolder<PushBlockResponse>(
        place,
        (holder, reply) => holder.pushBlock(bare, parts, () => !this.isGone, reply),
        ({ disposition, receipt }) => {
          if (!this.#held.has(lease.leaseId)) return;
          this.#machine.say('hears of the rows of', lease.leaseId, disposition);
          if (disposition !== 'DISPOSITION_HELD') return this.#done(lease);
          const held = receipt as NonNullable<BlockHeader__Output['receipt']>;
          this.#tellBlock(lease, { ...header, receipt: held }, solution, lie, attempts);
        },
        (error) =>
          this.#refused(lease, error, attempts, () => this.#pushBlock(lease, solution, attempts - 1)),
      );
      return;
    }
    this.#tellBlock(lease, header, solution, lie, attempts, parts);
  }

  /** Whoever takes rows in finds what is wrong with them, but only the worker can say it of its lease. */
  #refused(lease: Lease, error: string, attempts: number, again: () => void): void {
    if (!this.#held.has(lease.leaseId)) return;
    if ((error === 'STOA_CHECKSUM' || error === '') && attempts > 1) {
      again();
      return;
    }
    if (error !== 'STOA_SHAPE' && error !== 'STOA_NUMERIC_NOT_FINITE') {
      this.#gaveUp(lease, error === 'STOA_CHECKSUM' ? '' : error);
      return;
    }
    const session = this.#session!;
    const { network, coordinator } = this.#world;
    network.send(this.node, 'c', () => coordinator.fail(session, [lease.leaseId], error));
    this.#done(lease);
  }

  /** Delivers a result to the coordinator. @param parts rows of it, where they are not elsewhere. */
  #tellBlock(
    lease: Lease,
    header: BlockHeader__Output,
    solution: BlockSolution,
    lie: Lie | undefined,
    attempts: number,
    parts: readonly (PushBlockRequest__Output | undefined)[] = [],
  ): void {
    const { block, phase } = lease;
    this.#call<string>(
      (reply) => this.#world.coordinator.pushBlock(header, parts, () => !this.isGone, reply),
      (disposition) => {
        if (!this.#held.has(lease.leaseId)) return;
        this.#machine.say('hears of', lease.leaseId, disposition);
        const own = this.#mirrors[phase.side];
        if (disposition === 'accepted' && lie === undefined) {
          own.table.set(solution.rows, block.rowStart * FACTORS);
          own.clocks.set(block, phase.priorClock + 1);
        }
        this.#done(lease);
      },
      (error) => {
        if (!this.#held.has(lease.leaseId)) return;
        // What was not answered, or arrived damaged, is sent again: the first may have been taken.
        const isWorth = error === 'STOA_CHECKSUM' || error === '';
        if (isWorth && attempts > 1) this.#pushBlock(lease, solution, attempts - 1);
        else this.#gaveUp(lease, error === 'STOA_CHECKSUM' ? '' : error);
      },
    );
  }

  #pullStep(lease: Lease): void {
    const { block, phase } = lease;
    const items = Int32Array.from({ length: this.#world.plan.rows.items }, (_, row) => row);
    const session = this.#session!;
    const request = { block: block.index, clock: phase.priorClock, items };
    this.#call<{ users: Float32Array; items: Float32Array }>(
      (reply) => this.#world.coordinator.pullStep(session, request, reply),
      (answer) => {
        if (!this.#held.has(lease.leaseId)) return;
        if (this.#places !== undefined) return this.#pullPlaced(lease);
        const solution = solveStep(block.index, phase.priorClock, answer.users, answer.items);
        this.#compute(lease, () => this.#pushStep(lease, solution, 3));
      },
      (error) => this.#held.has(lease.leaseId) && this.#gaveUp(lease, error),
    );
  }

  /** What a task reads, from all who have some of it, one after the other. */
  #pullPlaced(lease: Lease): void {
    const { block, phase } = lease;
    const columns = clocksOf(this.#world.plan);
    const count = this.#world.plan.rows.items;
    const read: SolvedStep = {
      users: new Float32Array(columns),
      items: new Float32Array(count * columns),
      value: 0,
    };
    const home = this.#placeOf('users', block.rowStart);
    const next = (place: number): void => {
      if (place === this.#places!.length) {
        const solution = solveStep(block.index, phase.priorClock, read.users, read.items);
        this.#compute(lease, () => this.#pushPlaced(lease, solution, read, 3));
        return;
      }
      const items = this.#itemsAt(
        place,
        Int32Array.from({ length: count }, (_, row) => row),
      );
      if (items.length === 0 && place !== home) {
        next(place + 1);
        return;
      }
      this.#callHolder<{ users: Float32Array; items: Float32Array }>(
        place,
        (holder, reply) => holder.pullStep({ block: block.index, items }, reply),
        (rows) => {
          if (!this.#held.has(lease.leaseId)) return;
          if (place === home) read.users.set(rows.users);
          items.forEach((row, n) => {
            read.items.set(rows.items.subarray(n * columns, (n + 1) * columns), row * columns);
          });
          next(place + 1);
        },
        (error) => this.#held.has(lease.leaseId) && this.#gaveUp(lease, error),
      );
    };
    next(0);
  }

  #itemsAt(place: number, items: Int32Array): Int32Array {
    return items.filter((row) => this.#placeOf('items', row) === place);
  }

  /** Hands the parts of an update in, one after the other, and then tells the coordinator, with the receipts. */
  #pushPlaced(lease: Lease, solution: StepSolution, read: SolvedStep, attempts: number): void {
    const { block, phase } = lease;
    const { deltas, users } = solution;
    const columns = clocksOf(this.#world.plan);
    const lie = this.#drawLie();
    const header = this.#stepHeader(lease, solution, lie);
    if (lie === 'wrong') this.#world.coordinator.lied(this.#session!, lease.leaseId);
    const said = this.#said(deltas.deltas, lie);
    const written = { ...read, value: said[phase.priorClock]! };
    this.#world.oracle.solved(this.#session!, header.leaseId, written);
    const home = this.#placeOf('users', block.rowStart);
    const receipts: HeldPart__Output[] = [];
    const next = (place: number): void => {
      if (place === this.#places!.length) {
        this.#tellStep(lease, { ...header, items: [], counts: [], parts: receipts }, [], attempts, () =>
          this.#pushPlaced(lease, solution, read, attempts - 1),
        );
        return;
      }
      if (lie === 'no-rows') {
        receipts.push({ holder: place, receipt: { digest: 1, signature: Buffer.alloc(32) } });
        next(place + 1);
        return;
      }
      const items = this.#itemsAt(place, deltas.rows);
      if (items.length === 0 && place !== home) {
        next(place + 1);
        return;
      }
      const own = Float32Array.from(
        [...items].flatMap((row) => {
          const n = deltas.rows.indexOf(row);
          return [...said.subarray(n * columns, (n + 1) * columns)];
        }),
      );
      const listed = lie === 'shape' ? [...items, 1e6] : [...items];
      const part = { ...header, items: listed, counts: [...items].map(() => 1) };
      const parts = [
        ...(place === home ? this.#chunksOf(users, block.rowStart, columns, columns) : []).map((chunk) => ({
          users: chunk,
        })),
        ...this.#chunksOf(own, 0, columns, columns).map((chunk) => ({ deltas: chunk })),
      ] as (PushStepRequest__Output | undefined)[];
      this.#breakOff(parts);
      this.#callHolder<PushStepResponse>(
        place,
        (holder, reply) => holder.pushStep(part, parts, () => !this.isGone, reply),
        ({ disposition, receipt }) => {
          if (!this.#held.has(lease.leaseId)) return;
          if (disposition !== 'DISPOSITION_HELD') return this.#done(lease);
          receipts.push({ holder: place, receipt: receipt as HeldPart__Output['receipt'] });
          next(place + 1);
        },
        (error) =>
          this.#refused(lease, error, attempts, () => this.#pushPlaced(lease, solution, read, attempts - 1)),
      );
    };
    next(0);
  }

  #pushStep(lease: Lease, solution: StepSolution, attempts: number): void {
    const { users, deltas } = solution;
    const { block } = lease;
    const lie = this.#drawLie();
    const header = this.#stepHeader(lease, solution, lie);
    const columns = clocksOf(this.#world.plan);
    if (lie === 'wrong') this.#world.coordinator.lied(this.#session!, lease.leaseId);
    const parts: (PushStepRequest__Output | undefined)[] = [
      ...this.#chunksOf(users, block.rowStart, columns, columns).map((chunk) => ({ users: chunk })),
      ...this.#chunksOf(this.#said(deltas.deltas, lie), 0, columns, columns).map((chunk) => ({
        deltas: chunk,
      })),
    ] as PushStepRequest__Output[];
    this.#breakOff(parts);
    this.#tellStep(lease, header, parts, attempts, () => this.#pushStep(lease, solution, attempts - 1));
  }

  #stepHeader({ leaseId, runId, block, phase }: Lease, { deltas }: StepSolution, lie: Lie | undefined) {
    return {
      runId,
      sessionId: this.#session!,
      leaseId: lie === 'foreign-lease' ? this.#foreign({ leaseId, block }) : leaseId,
      block: lie === 'other-block' ? block.index + 1 : block.index,
      clock: phase.priorClock + (lie === 'other-clock' ? 1 : 0),
      items: lie === 'shape' ? [...deltas.rows, 1e6] : [...deltas.rows],
      counts: [...deltas.counts],
      loss: 0,
      sampleCount: 1,
      solveMs: 1,
      parts: [],
    };
  }

  /** Delivers an update to the coordinator. */
  #tellStep(
    lease: Lease,
    header: StepHeader__Output,
    parts: readonly (PushStepRequest__Output | undefined)[],
    attempts: number,
    again: () => void,
  ): void {
    this.#call<string>(
      (reply) => this.#world.coordinator.pushStep(header, parts, () => !this.isGone, reply),
      () => {
        if (!this.#held.has(lease.leaseId)) return;
        this.#done(lease);
        this.#readAhead(lease);
      },
      (error) => {
        if (!this.#held.has(lease.leaseId)) return;
        const isWorth = error === 'STOA_CHECKSUM' || error === '';
        if (isWorth && attempts > 1) again();
        else this.#gaveUp(lease, error === 'STOA_CHECKSUM' ? '' : error);
      },
    );
  }

  /** Now and then asks for the block's next clocks before it has a lease: such reads may have to wait. */
  #readAhead({ block, phase }: Lease): void {
    const { network, random, coordinator, plan } = this.#world;
    const session = this.#session;
    if (session === undefined || random.next() >= 0.3) return;
    const clock = phase.priorClock + 1 + random.int(2);
    if (clock >= (phase.index + 1) * plan.sync!.clocksPerPhase) return;
    const items = Int32Array.from({ length: plan.rows.items }, (_, row) => row);
    for (let n = this.#drawLie() === 'greed' ? 100 : random.int(5); n >= 0; n--) {
      network.send(this.node, 'c', () =>
        coordinator.pullStep(session, { block: block.index, clock, items }, () => {}),
      );
    }
  }

  #chunksOf(rows: Float32Array, rowStart: number, length: number, columns = FACTORS): RowsChunk__Output[] {
    const chunks: RowsChunk__Output[] = [];
    for (let at = 0; at < rows.length; at += length) {
      const { rows: bytes, ...chunk } = encodeRows(rows.subarray(at, at + length), rowStart + at / columns);
      chunks.push({ ...chunk, rows: this.#world.network.carry(bytes), exchangedRows: 0 });
    }
    return chunks;
  }

  /** Now and then a stream ends in the middle. */
  #breakOff(parts: unknown[]): void {
    const { network, random } = this.#world;
    if (network.isCalm || random.next() >= 0.02) return;
    parts.length = random.int(parts.length + 1);
    parts.push(undefined);
  }

  /** What it says that it computed. */
  #said(rows: Float32Array, lie: Lie | undefined): Float32Array {
    if (lie !== 'nan' && lie !== 'wrong') return rows;
    const out = Float32Array.from(rows);
    out[out.length - 1] = lie === 'nan' ? Number.NaN : out[out.length - 1]! + this.#error;
    return out;
  }

  #drawLie(): Lie | undefined {
    const { lie } = this.#traits;
    return lie !== undefined && this.#world.random.next() < lie.share ? lie.kind : undefined;
  }

  /** A lease that is somebody else's, of the same block where there is one, or nobody's. */
  #foreign({ leaseId, block }: Pick<Lease, 'leaseId' | 'block'>): number {
    const { coordinator, random } = this.#world;
    const other = coordinator.leaseOfAnother(block.index, this.#session!);
    return other ?? Math.max(1, leaseId + random.int(7) - 3);
  }

  #emptyMirrors(): Readonly<Record<Side, Mirror>> {
    const { rows } = this.#world.plan;
    const mirror = (side: Side): Mirror => ({
      table: new Float32Array(rows[side] * FACTORS),
      clocks: new RowClocks(rows[side]),
    });
    return { users: mirror('users'), items: mirror('items') };
  }
}
