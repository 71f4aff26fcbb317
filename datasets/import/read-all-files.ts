import { InteractionTable } from '../csr/interaction-table.js';
import { locateBadRows, type RefusedRows, rejectTables, takeRefusedRows } from './bad-rows.js';
import type { BadRowTotals } from './check-bad-rows.js';
import type { DuckdbSession } from './duckdb-session.js';
import { type IdSink, InlineIdSink, ThreadedIdSink } from './id-sink.js';
import type { ImportPlan } from './plan-import.js';
import { type ReadTarget, readInteractions } from './read-interactions.js';
import type { SortedIds } from './sort-ids.js';

export interface ReadFiles {
  /** `users` and `items` are provisional numbers, to be looked up in `rowOf`. */
  table: InteractionTable;
  users: SortedIds;
  items: SortedIds;
  bad: BadRowTotals;
}

const NONE: RefusedRows = { count: 0, notUtf8: 0, rows: [] };

/**
 * Reads all files of a plan, one after the other, into one table. Every good row is there, in file order.
 *
 * @param options.threaded number ids in threads of their own.
 */
export async function readAllFiles(
  session: DuckdbSession,
  plan: ImportPlan,
  options: { threaded: boolean; onRows: (rows: number) => void },
): Promise<ReadFiles> {
  const { value, time } = plan.columns;
  const table = new InteractionTable({
    capacity: plan.rowsEstimate,
    hasValues: value !== undefined,
    hasTimes: time !== undefined,
  });
  const newSink = (pieces: number): IdSink =>
    options.threaded ? new ThreadedIdSink(pieces) : new InlineIdSink(pieces);
  const target = { table, users: newSink(plan.userPieces), items: newSink(plan.itemPieces) };
  try {
    const bad = await readEach(session, plan, target, options.onRows);
    const [users, items] = await Promise.all([target.users.finish(), target.items.finish()]);
    return { table, users, items, bad };
  } finally {
    await Promise.all([target.users.close(), target.items.close()]);
  }
}

async function readEach(
  session: DuckdbSession,
  plan: ImportPlan,
  target: ReadTarget,
  onRows: (rows: number) => void,
): Promise<BadRowTotals> {
  const { table } = target;
  const bad: BadRowTotals = { rowsRead: 0, rowsRejected: 0, notUtf8: 0, rows: [] };
  for (const [index, shape] of plan.shapes.entries()) {
    const before = table.length;
    const rejects = rejectTables(index);
    const notes = await readInteractions(session, shape, plan, target, rejects, (rows) =>
      onRows(before + rows),
    );
    const refused =
      shape.fields === undefined
        ? NONE
        : await takeRefusedRows(session, rejects, (at) =>
            shape.fields![at] === plan.columns.value ? 'value' : 'time',
          );
    bad.rowsRead += table.length - before + notes.count + refused.count;
    bad.rowsRejected += notes.count + refused.count;
    bad.notUtf8 += refused.notUtf8;
    bad.rows.push(...(await locateBadRows(shape, plan.columns, notes, refused)));
  }
  return bad;
}
