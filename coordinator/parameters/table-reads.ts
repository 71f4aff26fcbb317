// What a pull may see: the table of one clock, never a mixture of two.

import { FencedError, UsageError } from '../../common/errors.js';
import type { Side } from '../../models/csr.js';
import type { FactorTables } from './factor-tables.js';
import type { PhaseTables } from './phase-tables.js';

interface RowRange {
  readonly rowStart: number;
  readonly rowEnd: number;
}

/**
 * The table at a clock. To be asked for again before every chunk: the phase may have moved on since the last.
 *
 * @throws {FencedError} `STOA_CLOCK_GONE`.
 */
export function tableAt(tables: FactorTables, side: Side, clock: number): Float32Array {
  const table = tables.at(side, clock);
  if (table === undefined) throw clockGone(side, clock, tables.clock(side));
  return table;
}

/** The packed Gram of a side at a clock. @throws {FencedError} `STOA_CLOCK_GONE`. */
export function gramAt(store: PhaseTables, side: Side, clock: number): Float64Array {
  const kept = store.clock(side);
  if (kept !== clock) throw clockGone(side, clock, kept);
  return store.sums(side).gram;
}

/** The ranges that were asked for; none means all `rows`. @throws {UsageError} they overlap or lie outside. */
export function rangesAsked(ranges: readonly RowRange[], rows: number): readonly RowRange[] {
  if (ranges.length === 0) return [{ rowStart: 0, rowEnd: rows }];
  let before = 0;
  for (const { rowStart, rowEnd } of ranges) {
    if (rowStart < before || rowEnd <= rowStart || rowEnd > rows) {
      throw new UsageError(
        'STOA_USAGE',
        `ranges must ascend, not overlap and lie within ${rows} rows; ${rowStart} to ${rowEnd} does not`,
        { fields: { field: 'ranges' } },
      );
    }
    before = rowEnd;
  }
  return ranges;
}

function clockGone(side: Side, asked: number, kept: number): FencedError {
  return new FencedError(
    'STOA_CLOCK_GONE',
    `${side} at clock ${asked} cannot be read, the table is at clock ${kept}; the phase has moved on`,
  );
}
