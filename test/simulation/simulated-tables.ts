// One generation of tables in parameter processes, as the coordinator sees it: makes the calls that production's
// `PlacedResults` asks for, again and again while production says so, over the simulated network.

import { CorruptError, FencedError, SystemError } from '../../common/errors.js';
import type { Random } from '../../common/random.js';
import { encodeRows } from '../../common/row-chunks.js';
import { sideName } from '../../common/sides.js';
import { acceptResults, commitTable, fillTable } from '../../coordinator/holder/table-calls.js';
import type { Holder } from '../../coordinator/holders/holder-sessions.js';
import type { HolderTask } from '../../coordinator/holders/holder-tasks.js';
import { isWorthAnother } from '../../coordinator/holders/insistence.js';
import { PlacedResults, type PlacedResultsOptions } from '../../coordinator/holders/placed-results.js';
import type { RowSource } from '../../coordinator/parameters/row-source.js';
import type { Side } from '../../models/csr.js';
import type { EventQueue } from './event-queue.js';
import type { SimulatedHolder } from './simulated-holder.js';
import type { Reply } from './simulated-life.js';
import { type SimulatedNetwork, STALL_MS } from './simulated-network.js';

export interface TablesWorld {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly network: SimulatedNetwork;
  /** The process that lives on a node now. */
  readonly holderAt: (node: string) => SimulatedHolder | undefined;
  /** Goes on in the coordinator's process: not when that is gone, later when it is frozen. */
  readonly within: (act: () => void) => void;
}

type Open = Parameters<SimulatedHolder['tables']['open']>[0];
type Accept = Parameters<typeof acceptResults>[1];
type Commit = Parameters<typeof commitTable>[1];

const CALL_MS = 4000;
const RETRY_MS = 100;
const ECHO_SHARE = 0.2;
const ECHO_MS = 3 * STALL_MS;

export class SimulatedTables {
  readonly results: PlacedResults;
  readonly #world: TablesWorld;
  readonly #o: PlacedResultsOptions;
  readonly #onFailed: (holder: Holder, why: string) => void;
  readonly #onLost: (why: string) => void;
  #isOver = false;

  /** @param onFailed told of a call that has failed for good. @param onLost told once, when rows are gone. */
  constructor(
    world: TablesWorld,
    options: PlacedResultsOptions,
    onFailed: (holder: Holder, why: string) => void,
    onLost: (why: string) => void,
  ) {
    this.#world = world;
    this.#o = options;
    this.#onFailed = onFailed;
    this.#onLost = onLost;
    this.results = new PlacedResults(options);
  }

  get factors(): number {
    return this.results.factors;
  }

  /** Rows are gone, or needed no more: nothing of these tables goes on. */
  get isOver(): boolean {
    return this.#isOver;
  }

  rows(side: Side): number {
    return this.results.rows(side);
  }

  open(then: () => void): void {
    let left = this.#o.holders.length;
    this.#o.holders.forEach((_, place) => {
      const request = { steps: null, ...this.results.layoutOf(place) } as unknown as Open;
      this.#insist(
        place,
        (holder, reply) => holder.serve(reply, () => holder.tables.open(request)),
        () => {
          if (--left === 0) then();
        },
        'open',
      );
    });
  }

  /** Writes all rows of a side. */
  fill(side: Side, clock: number, rows: Float32Array, then: () => void): void {
    const { factors } = this;
    const pieces = this.results.pieces(side, 0, this.rows(side));
    const next = (n: number): void => {
      const piece = pieces[n];
      if (piece === undefined) {
        then();
        return;
      }
      const { holder: place, rowStart, rowEnd } = piece;
      const encoded = encodeRows(rows.subarray(rowStart * factors, rowEnd * factors), rowStart);
      this.#insist(
        place,
        (holder, reply) => {
          const bytes = this.#world.network.carry(encoded.rows);
          const chunk = { ...encoded, rows: bytes, exchangedRows: 0 };
          const key = this.results.keyOf(place);
          holder.serve(reply, () => fillTable(holder.tables, key, { side: sideName(side), clock, chunk }));
        },
        () => next(n + 1),
      );
    };
    next(0);
  }

  accept(result: Parameters<PlacedResults['accept']>[0]): void {
    this.results.accept(result);
    this.#makeCalls();
  }

  acceptStep(...update: Parameters<PlacedResults['acceptStep']>): void {
    this.results.acceptStep(...update);
    this.#makeCalls();
  }

  whenSettled(then: () => void): void {
    this.results.whenSettled(then);
  }

  whenCommitted(side: Side, clock: number, then: () => void): void {
    this.results.commit(side, clock, false, then);
    this.#makeCalls();
  }

  /** All rows of a side at a clock. */
  read(side: Side, clock: number, then: (rows: Float32Array) => void): void {
    const { factors } = this;
    const out = new Float32Array(this.rows(side) * factors);
    const pieces = this.results.pieces(side, 0, this.rows(side));
    const next = (n: number): void => {
      const piece = pieces[n];
      if (piece === undefined) {
        then(out);
        return;
      }
      this.#insist<readonly { rowStart: number; rows: Float32Array }[]>(
        piece.holder,
        (holder, reply) => holder.pullRows(side, clock, [piece], reply),
        (chunks) => {
          for (const { rowStart, rows } of chunks) out.set(rows, rowStart * factors);
          next(n + 1);
        },
      );
    };
    next(0);
  }

  /** What the processes have of a side at a clock, seen by nobody but the oracle; undefined where some have lost it. */
  peek(side: Side, clock: number): Float32Array | 'lost' | 'not there' {
    const { factors } = this;
    const out = new Float32Array(this.rows(side) * factors);
    for (const { holder: place, ...range } of this.results.pieces(side, 0, this.rows(side))) {
      const { id, name } = this.#o.holders[place]!;
      const holder = this.#world.holderAt(name);
      if (holder === undefined || holder.isGone || holder.id !== id) return 'lost';
      try {
        const open = holder.tables.named(this.results.keyOf(place));
        const rows = open.steps?.keptAt(side, clock, range) ?? open.sides[side]!.at(clock, range);
        out.set(rows, range.rowStart * factors);
      } catch {
        return 'not there';
      }
    }
    return out;
  }

  lose(why: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onLost(why);
  }

  /** Lets the processes have their memory back, where they can be reached; nobody waits for it. */
  close(): void {
    this.#isOver = true;
    const { network } = this.#world;
    this.#o.holders.forEach(({ name }, place) => {
      const key = this.results.keyOf(place);
      network.send('c', name, () => {
        const holder = this.#world.holderAt(name);
        holder?.serve(
          () => {},
          () => holder.tables.close(key),
        );
      });
    });
  }

  /** What production's stores have of tables, for those of their calls that wait for nothing. */
  get forStore() {
    const never = (): never => {
      throw new Error('the simulation waits by callbacks');
    };
    return {
      results: this.results,
      factors: this.factors,
      rows: (side: Side) => this.rows(side),
      accept: (result: Parameters<PlacedResults['accept']>[0]) => this.accept(result),
      acceptStep: (...update: Parameters<PlacedResults['acceptStep']>) => this.acceptStep(...update),
      settled: never as () => Promise<void>,
      commit: never as () => Promise<void>,
      source: never as () => RowSource,
    };
  }

  #makeCalls(): void {
    this.#o.holders.forEach((_, place) => {
      this.#call(place);
    });
  }

  #call(place: number): void {
    const task = this.#isOver ? undefined : this.results.next(place);
    if (task === undefined) return;
    this.#insist(
      place,
      (holder, reply) => holder.serve(reply, () => this.#perform(holder, place, task)),
      () => {
        this.results.done(place);
        this.#call(place);
      },
    );
  }

  #perform({ tables }: SimulatedHolder, place: number, task: HolderTask): void {
    const key = this.results.keyOf(place);
    if (task.kind === 'accept') acceptResults(tables, { key, results: task.results } as unknown as Accept);
    else commitTable(tables, { ...task, key, side: sideName(task.side) } as unknown as Commit);
  }

  #insist<T>(
    place: number,
    serve: (holder: SimulatedHolder, reply: (reply: Reply<T>) => void) => void,
    then: (value: T) => void,
    what?: 'open',
  ): void {
    const { queue, random, network, holderAt, within } = this.#world;
    const { name } = this.#o.holders[place]!;
    const begunMs = queue.nowMs;
    const attempt = (): void => {
      let isSettled = false;
      const settle = (act: () => void) =>
        within(() => {
          if (isSettled || this.#isOver) return;
          isSettled = true;
          act();
        });
      const fail = (code: string) => {
        if (!isWorthAnother(errorOf(code), queue.nowMs - begunMs, what)) {
          this.#onFailed(this.#o.holders[place]!, code);
          return this.lose(`${name}: ${code}`);
        }
        queue.after(RETRY_MS, () => within(() => this.#isOver || attempt()));
      };
      const reply = (answer: Reply<T>) =>
        network.send(name, 'c', () =>
          settle(() => ('value' in answer ? then(answer.value) : fail(answer.error))),
        );
      const hear = () => {
        const holder = holderAt(name);
        if (holder !== undefined && !holder.isGone) serve(holder, reply);
      };
      network.send('c', name, hear);
      // Now and then it is heard once more, long after: as one that was given up and lay on its way.
      if (!network.isCalm && random.next() < ECHO_SHARE) queue.after(random.next() * ECHO_MS, hear);
      queue.after(CALL_MS, () => settle(() => fail('')));
    };
    attempt();
  }
}

/** What a call throws in production; '' is no answer. */
function errorOf(code: string): Error {
  if (code === '') return new SystemError('STOA_UNREACHABLE', 'no answer');
  if (code === 'STOA_CHECKSUM') return new CorruptError('STOA_CHECKSUM', 'damaged');
  const known = code === 'STOA_SESSION_OVER' ? code : 'STOA_CLOCK_GONE';
  return new FencedError(known, code);
}
