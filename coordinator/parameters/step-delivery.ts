// A result of one block for one clock, on its way into the tables: collected aside until all of it is there.

import { NumericError, ShapeError } from '../../common/errors.js';
import { decodeRows } from '../../common/row-chunks.js';
import type { PushStepRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushStepRequest.js';
import type { RowsChunk__Output } from '../../proto/generated/stoa/parameters/v1/RowsChunk.js';
import type { StepHeader__Output } from '../../proto/generated/stoa/parameters/v1/StepHeader.js';
import { firstNotFinite } from './finite-rows.js';
import type { RowDeltas } from './shared-rows.js';

/** Complete and checked, but not yet judged. */
export interface StepDelivery {
  readonly runId: string;
  readonly sessionId: string;
  readonly leaseId: number;
  readonly side: 'users';
  readonly block: number;
  /** Clock that the rows belong to: the one computed, plus 1. */
  readonly clock: number;
  /** The block's user rows. */
  readonly users: Float32Array;
  readonly deltas: RowDeltas;
  readonly loss: number;
  readonly sampleCount: number;
  readonly solveMs: number;
  /** Places of the parameter processes that have its parts; absent where rows and deltas are here. */
  readonly heldBy?: readonly number[];
  /** Of rows and deltas, where they are compared with another worker's. */
  readonly digest?: number;
}

/** Rows of the block, and rows of the table that its deltas may name. */
export interface StepShape {
  rowStart: number;
  rowEnd: number;
  columns: number;
  items: number;
}

/**
 * Takes in what follows a header, part by part. Nothing of it is stored.
 *
 * Errors of all calls: {ShapeError} rows or lists of another size, out of order or out of range; {CorruptError}
 * `STOA_CHECKSUM`; {NumericError} `STOA_NUMERIC_NOT_FINITE`.
 */
export class StepIntake {
  readonly #header: StepHeader__Output;
  readonly #items: Int32Array;
  readonly #users: Rows;
  readonly #deltas: Rows;

  constructor(header: StepHeader__Output, shape: StepShape) {
    const { columns, rowStart, rowEnd } = shape;
    this.#header = header;
    this.#items = itemRows(header, shape.items);
    this.#users = new Rows('user rows', rowStart, rowEnd, columns);
    this.#deltas = new Rows('deltas', 0, this.#items.length, columns);
  }

  take({ users, deltas }: PushStepRequest__Output): void {
    if (users) this.#users.take(users);
    else if (deltas) this.#deltas.take(deltas);
    else throw new ShapeError('STOA_SHAPE', 'one delivery has one header, then user rows and deltas');
  }

  end(): StepDelivery {
    const { runId, sessionId, leaseId, block, clock, loss, sampleCount, solveMs, counts } = this.#header;
    if (!Number.isFinite(loss)) throw notFinite('the loss of a block');
    return {
      runId,
      sessionId,
      leaseId,
      side: 'users',
      block,
      clock: clock + 1,
      users: this.#users.all(),
      deltas: { rows: this.#items, deltas: this.#deltas.all(), counts: Uint32Array.from(counts) },
      loss,
      sampleCount,
      solveMs,
    };
  }
}

/** @throws {ShapeError} not ascending, outside of the table, or without a count each. */
function itemRows({ items, counts }: StepHeader__Output, itemCount: number): Int32Array {
  const isAscending = items.every((row, n) => n === 0 || row > items[n - 1]!);
  if (!isAscending || (items.at(-1) ?? -1) >= itemCount || counts.length !== items.length) {
    throw new ShapeError(
      'STOA_SHAPE',
      `the item rows of a delivery must ascend below ${itemCount} and have one count each`,
    );
  }
  return Int32Array.from(items);
}

/** Rows that arrive in order, piece by piece. */
class Rows {
  readonly #what: string;
  readonly #start: number;
  readonly #end: number;
  readonly #columns: number;
  readonly #out: Float32Array;
  #next: number;

  constructor(what: string, start: number, end: number, columns: number) {
    this.#what = what;
    this.#start = start;
    this.#end = end;
    this.#columns = columns;
    this.#next = start;
    this.#out = new Float32Array((end - start) * columns);
  }

  take(chunk: RowsChunk__Output): void {
    if (chunk.rowStart !== this.#next) {
      throw new ShapeError(
        'STOA_SHAPE',
        `${this.#what} from ${chunk.rowStart} came where ${this.#next} to ${this.#end} were due`,
      );
    }
    const place = this.#out.subarray((this.#next - this.#start) * this.#columns);
    this.#next += decodeRows(chunk, this.#columns, place).length / this.#columns;
  }

  all(): Float32Array {
    if (this.#next !== this.#end) {
      throw new ShapeError('STOA_SHAPE', `${this.#what} ${this.#next} to ${this.#end} are missing`);
    }
    const at = firstNotFinite(this.#out);
    if (at >= 0) throw notFinite(`${this.#what}: row ${this.#start + Math.floor(at / this.#columns)}`);
    return this.#out;
  }
}

function notFinite(what: string): NumericError {
  return new NumericError(
    'STOA_NUMERIC_NOT_FINITE',
    `${what} has a value that is not finite; nothing was stored`,
  );
}
