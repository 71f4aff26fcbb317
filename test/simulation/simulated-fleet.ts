// The parameter processes of one life of a coordinator, and where a run with its rows in them stands: the course of
// `trainRun` in production, by events.

import { type GoneHolder, type Holder, HolderSessions } from '../../coordinator/holders/holder-sessions.js';
import { LossLimit } from '../../coordinator/holders/loss-limit.js';
import type { PlacedResultsOptions } from '../../coordinator/holders/placed-results.js';
import type { Side } from '../../models/csr.js';
import { HOLDER_TIMING } from './simulated-holder.js';
import type { Reply } from './simulated-life.js';
import { SimulatedTables, type TablesWorld } from './simulated-tables.js';

/** What the coordinator does with a run in the meantime. */
export interface FleetHooks {
  /** Of the life. */
  readonly term: number;
  /** How many processes a run needs. */
  readonly expected: number;
  readonly nowMs: () => number;
  readonly say: (what: string, ...details: readonly unknown[]) => void;
  readonly layout: () => Pick<PlacedResultsOptions, 'runId' | 'factors' | 'sides' | 'steps'>;
  readonly fill: (tables: SimulatedTables, then: () => void) => void;
  readonly start: (tables: SimulatedTables) => void;
  /** The schedule is to stop the run: `ended` follows. */
  readonly stop: () => void;
  /** Reads what is complete from the processes and puts it on disk. */
  readonly save: (tables: SimulatedTables, then: () => void) => void;
  /** Ends all sessions of workers, unless rows were lost too often. */
  readonly goBack: (limit: LossLimit, then: () => void) => void;
}

/** More than chance alone comes to: the limit of production is for what waiting does not mend. */
const LOSSES_MAX = 60;

export class SimulatedFleet {
  readonly sessions: HolderSessions;
  readonly #world: TablesWorld;
  readonly #hooks: FleetHooks;
  readonly #limit = new LossLimit(LOSSES_MAX);
  #state: 'idle' | 'gathering' | 'placing' | 'running' | 'saving' = 'idle';
  #tables: SimulatedTables | undefined;
  /** Processes that leave in good order, to be told when they may. */
  #leavers: { id: string; reply: (reply: Reply<null>) => void }[] = [];
  #nextId = 1;
  #generation = 0;

  constructor(world: TablesWorld, hooks: FleetHooks) {
    this.#world = world;
    this.#hooks = hooks;
    this.sessions = new HolderSessions(HOLDER_TIMING, hooks.nowMs());
  }

  /** Of the run in progress. */
  get tables(): SimulatedTables | undefined {
    return this.#state === 'running' ? this.#tables : undefined;
  }

  get isLost(): boolean {
    return this.#tables?.isOver === true;
  }

  register(node: string, reply: (reply: Reply<{ id: string; term: number }>) => void): void {
    const { term, nowMs } = this.#hooks;
    const holder = { id: `p${term}.${this.#nextId++}`, name: node, address: { host: node, port: 1 } };
    this.#gone(this.sessions.register(holder, nowMs()));
    reply({ value: { id: holder.id, term } });
    this.#place();
  }

  heartbeat(id: string): null {
    this.sessions.heartbeat(id, 0, this.#hooks.nowMs());
    return null;
  }

  leave(id: string, reply: (reply: Reply<null>) => void): void {
    const holder = this.sessions.beginLeave(id);
    if (holder === undefined) {
      reply({ value: null });
      return;
    }
    this.#leavers.push({ id, reply });
    const isNeeded = this.#tables?.results.has(holder) === true && !this.#tables.isOver;
    if (!isNeeded) {
      this.#letGo();
      return;
    }
    if (this.#state === 'running') this.#hooks.stop();
    else if (this.#state === 'placing') this.#retreat();
  }

  tick(nowMs: number): void {
    this.#gone(this.sessions.tick(nowMs));
  }

  /** The run is to begin, or to go on: as soon as enough processes are there. */
  begin(): void {
    this.#state = 'gathering';
    this.#place();
  }

  /** The schedule has ended the run. @param then when what is complete is on disk. */
  ended(isAsked: boolean, then: () => void): void {
    const tables = this.#tables!;
    if (tables.isOver) {
      this.#retreat();
      return;
    }
    this.#state = 'saving';
    this.#hooks.save(tables, () => {
      if (!isAsked) return this.#retreat();
      this.#close();
      then();
    });
  }

  #place(): void {
    const { sessions } = this;
    const { expected, term, layout, fill, start, say } = this.#hooks;
    const holders = sessions.alive();
    if (this.#state !== 'gathering' || holders.length < expected) return;
    this.#state = 'placing';
    const secret = Buffer.from(Array.from({ length: 32 }, () => this.#world.random.int(256)));
    const options = { ...layout(), term, generation: ++this.#generation, holders, secret };
    say('places rows on', ...holders.map(({ id }) => id));
    const giveUp = ({ id }: Holder, why: string) => {
      const gone = sessions.giveUp(id, why);
      if (gone !== undefined) this.#gone([gone]);
    };
    const tables = new SimulatedTables(this.#world, options, giveUp, (why) => this.#lost(why));
    this.#tables = tables;
    tables.open(() =>
      fill(tables, () => {
        this.#state = 'running';
        start(tables);
      }),
    );
  }

  #gone(gone: readonly GoneHolder[]): void {
    for (const { holder, why } of gone) {
      this.#hooks.say('gives up', holder.id, why);
      if (this.#tables?.results.has(holder)) this.#tables.lose(why);
    }
  }

  #lost(why: string): void {
    this.#hooks.say('has lost rows:', why);
    if (this.#state === 'running') this.#hooks.stop();
    else this.#retreat();
  }

  /** Back to the last record. */
  #retreat(): void {
    this.#close();
    this.#hooks.goBack(this.#limit, () => this.begin());
  }

  #close(): void {
    this.#state = 'idle';
    this.#tables?.close();
    this.#letGo();
  }

  #letGo(): void {
    for (const { id, reply } of this.#leavers) {
      this.sessions.endLeave(id);
      reply({ value: null });
    }
    this.#leavers = [];
  }
}

/** A side of the tables as it is opened. */
export function sideLayout(
  rows: Readonly<Record<Side, number>>,
  clock: (side: Side) => number,
  starts: (side: Side) => number[],
): PlacedResultsOptions['sides'] {
  const of = (side: Side) => ({ rows: rows[side], clock: clock(side), blockStarts: starts(side) });
  return { users: of('users'), items: of('items') };
}
