import { FencedError, UsageError } from '../../common/errors.js';
import { sideOf } from '../../common/sides.js';
import type { Side } from '../../models/csr.js';
import type { OpenTablesRequest__Output } from '../../proto/generated/stoa/parameters/v1/OpenTablesRequest.js';
import type { StepLayout__Output } from '../../proto/generated/stoa/parameters/v1/StepLayout.js';
import type { TableLayout__Output } from '../../proto/generated/stoa/parameters/v1/TableLayout.js';
import { SECRET_BYTES } from '../holders/receipt.js';
import { HeldSteps } from './held-steps.js';
import { HeldTable } from './held-table.js';
import type { StorageMaker } from './row-storage.js';

/** The tables of one run, from their opening to the next one. */
export interface OpenTables {
  readonly runId: string;
  readonly generation: number;
  /** Signs receipts. */
  readonly secret: Uint8Array;
  readonly holderId: string;
  /** Of a run that solves whole sides. */
  readonly sides: Readonly<Partial<Record<Side, HeldTable>>>;
  /** Of a run that pushes and pulls. */
  readonly steps?: HeldSteps;
}

/** What names a generation of tables, as `TablesKey` of the protos. */
export interface TablesKey {
  readonly holderId: string;
  readonly runId: string;
  readonly generation: number;
}

/**
 * The tables that a parameter process has open: of one run, or none. Whoever asks names the place that a coordinator has
 * given this process and the generation of the tables; a coordinator whose term is over can open nothing any more.
 */
export class HeldTables {
  readonly #storage: StorageMaker;
  #place: { holderId: string; term: number } | undefined;
  #open: OpenTables | undefined;
  /** The latest generation that was opened in this place: those before it, and it once closed, are never opened again. */
  #generationLatest = 0;

  constructor(storage: StorageMaker) {
    this.#storage = storage;
  }

  /** Bytes of the open tables, with their second buffers. */
  get byteLength(): number {
    const sides = Object.values(this.#open?.sides ?? {});
    return sides.reduce((sum, table) => sum + 2 * table.byteLength, this.#open?.steps?.byteLength ?? 0);
  }

  /** A coordinator has given this process a place: what it held before is gone. */
  join(holderId: string, term: number): void {
    this.#place = { holderId, term };
    this.#generationLatest = 0;
    this.release();
  }

  /**
   * Safe to repeat.
   *
   * @throws {FencedError} `STOA_SESSION_OVER`, `STOA_NOT_LEADER`, `STOA_CLOCK_GONE` (a later generation was opened);
   *   {UsageError} a layout that makes no sense.
   */
  open({ key, term, secret, factors, tables, steps }: OpenTablesRequest__Output): void {
    this.#requirePlace(key?.holderId);
    if (key === null) throw wrong('key');
    if (term !== this.#place!.term) {
      throw new FencedError('STOA_NOT_LEADER', `term ${term} is over: term ${this.#place!.term} has begun`);
    }
    const { runId, generation } = key;
    if (this.#open?.runId === runId && this.#open.generation === generation) return;
    if (generation <= this.#generationLatest) {
      throw new FencedError('STOA_CLOCK_GONE', `generation ${generation} of the tables is over`);
    }
    if (secret.length !== SECRET_BYTES) throw wrong('secret');
    if (factors === 0) throw wrong('factors');
    this.release();
    for (const { parts, rows } of tables) requireAscending(parts, rows);
    this.#generationLatest = generation;
    const { holderId } = this.#place!;
    if (steps !== null && steps !== undefined) {
      this.#open = {
        runId,
        generation,
        secret,
        holderId,
        sides: {},
        steps: openSteps(factors, tables, steps),
      };
      return;
    }
    const sides: Partial<Record<Side, HeldTable>> = {};
    for (const { side: name, rows, clock, parts, blockStarts } of tables) {
      const side = sideOf(name);
      sides[side] = new HeldTable({ side, factors, rows, clock, parts, blockStarts }, this.#storage);
    }
    this.#open = { runId, generation, secret, holderId, sides };
  }

  /** Lets the tables go. */
  close(key: TablesKey | null): void {
    this.#requirePlace(key?.holderId);
    if (this.#open?.generation === key?.generation) this.release();
  }

  /** Lets all rows go. */
  release(): void {
    for (const table of Object.values(this.#open?.sides ?? {})) table.close();
    this.#open = undefined;
  }

  /** The tables that a coordinator speaks of. @throws {FencedError} `STOA_SESSION_OVER`, `STOA_CLOCK_GONE`. */
  named(key: TablesKey | null): OpenTables {
    this.#requirePlace(key?.holderId);
    const open = this.#open;
    if (open !== undefined && open.runId === key?.runId && open.generation === key.generation) return open;
    throw new FencedError('STOA_CLOCK_GONE', `generation ${key?.generation} of the tables is not open here`);
  }

  /** The tables of a run, for its workers. @throws {FencedError} `STOA_CLOCK_GONE`. */
  ofRun(runId: string): OpenTables {
    if (this.#open?.runId === runId) return this.#open;
    throw new FencedError('STOA_CLOCK_GONE', `this process has no rows of run ${runId}`, {
      fields: { field: 'run_id' },
    });
  }

  #requirePlace(holderId: string | undefined): void {
    if (this.#place !== undefined && this.#place.holderId === holderId) return;
    throw new FencedError('STOA_SESSION_OVER', 'this process has another place by now, or none');
  }
}

/** One side of the tables. @throws {FencedError} `STOA_CLOCK_GONE`: nothing of it is here. */
export function sideOfTables({ sides, runId }: OpenTables, side: Side): HeldTable {
  const table = sides[side];
  if (table !== undefined) return table;
  throw new FencedError('STOA_CLOCK_GONE', `this process has no ${side} of run ${runId}`);
}

function openSteps(
  columns: number,
  tables: readonly TableLayout__Output[],
  { isImmediate, isAhead }: StepLayout__Output,
): HeldSteps {
  const users = tables.find(({ side }) => side === 'SIDE_USERS');
  const items = tables.find(({ side }) => side === 'SIDE_ITEMS');
  if (users === undefined || items === undefined) throw wrong('tables');
  return new HeldSteps({
    columns,
    rows: { users: users.rows, items: items.rows },
    parts: { users: users.parts, items: items.parts },
    blockStarts: users.blockStarts,
    clock: items.clock,
    isImmediate,
    isAhead,
  });
}

/** The steps of a push/pull run. @throws {FencedError} `STOA_CLOCK_GONE`: it is no such run. */
export function stepsOf({ steps, runId }: OpenTables): HeldSteps {
  if (steps !== undefined) return steps;
  throw new FencedError('STOA_CLOCK_GONE', `run ${runId} has no steps to pull or push`);
}

function requireAscending(parts: readonly { rowStart: number; rowEnd: number }[], rows: number): void {
  let before = 0;
  for (const { rowStart, rowEnd } of parts) {
    if (rowStart < before || rowEnd <= rowStart || rowEnd > rows) throw wrong('parts');
    before = rowEnd;
  }
}

function wrong(field: string): UsageError {
  return new UsageError('STOA_USAGE', `${field} of the tables to open makes no sense`, { fields: { field } });
}
