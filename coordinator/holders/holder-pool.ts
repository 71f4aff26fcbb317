// The parameter processes of a coordinator, as a run sees them: who takes its rows.

import { StateError } from '../../common/errors.js';
import type { TlsOptions } from '../../common/grpc-security.js';
import type { HolderLost } from './holder-lost.js';
import type { HolderRoster } from './holder-roster.js';
import type { Holder } from './holder-sessions.js';
import { PlacedTables, type PlacedTablesOptions } from './placed-tables.js';

/** Processes of one machine start together with the coordinator; others are started by somebody who reads the message. */
const WAIT_MS = 60_000;
/** A machine that was lost may be booted again, or another be had. */
const RETURN_MS = 10 * 60_000;

export interface HolderPoolOptions {
  roster: HolderRoster;
  /**
   * A run waits for so many; 0: the coordinator keeps the rows. Absent: a run takes those that are there, and the
   * coordinator keeps the rows where none are.
   */
  expected?: number;
  tls: TlsOptions;
  term: number;
  /** @default a minute before a run begins, ten once it has lost one. */
  waitMs?: number;
}

export class HolderPool {
  readonly #o: HolderPoolOptions;
  #generation = 0;

  constructor(options: HolderPoolOptions) {
    this.#o = options;
  }

  get roster(): HolderRoster {
    return this.#o.roster;
  }

  /**
   * Those that a run places its rows on; none: with the coordinator.
   *
   * @param isReturning the run had rows in parameter processes, and lost some.
   * @param onWaiting called with a sentence before a wait.
   * @throws {StateError} `STOA_NO_PARAMETERS`: too few came. Ends early, with who is there, when `signal` aborts.
   */
  async gather(
    isReturning: boolean,
    signal: AbortSignal,
    onWaiting: (sentence: string) => void,
  ): Promise<Holder[]> {
    const { roster, expected, waitMs = isReturning ? RETURN_MS : WAIT_MS } = this.#o;
    if (expected === 0) return [];
    const least = expected ?? (isReturning ? 1 : 0);
    const isEnough = () => roster.alive().length >= least;
    if (!isEnough()) {
      onWaiting(`waiting for parameter processes: ${roster.alive().length} of ${least} are there`);
      await roster.untilCount(least, waitMs, signal);
    }
    if (isEnough() || signal.aborted) return roster.alive();
    const there = roster.alive().length;
    throw new StateError(
      'STOA_NO_PARAMETERS',
      `the run needs ${least} parameter processes and ${there} came within ${Math.round(waitMs / 1000)} s; start them with "stoa parameters --coordinator HOST:PORT" and resume the run`,
    );
  }

  /** Opens tables of a generation of their own. Errors as `PlacedTables.open`. */
  open(
    options: Omit<PlacedTablesOptions, 'generation' | 'term' | 'tls' | 'onFailed'>,
  ): Promise<PlacedTables> {
    const { term, tls, roster } = this.#o;
    const onFailed = (holder: Holder, { message }: HolderLost) => roster.giveUp(holder, message);
    return PlacedTables.open({ ...options, term, tls, onFailed, generation: ++this.#generation });
  }
}
