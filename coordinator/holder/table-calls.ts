// What a coordinator has a parameter process do with its tables. Each is safe to repeat. Pure.

import { decodeRows } from '../../common/row-chunks.js';
import { sideOf } from '../../common/sides.js';
import type { AcceptResultsRequest__Output } from '../../proto/generated/stoa/parameters/v1/AcceptResultsRequest.js';
import type { CommitTableRequest__Output } from '../../proto/generated/stoa/parameters/v1/CommitTableRequest.js';
import type { FilledRows__Output } from '../../proto/generated/stoa/parameters/v1/FilledRows.js';
import { type HeldTables, sideOfTables, type TablesKey } from './held-tables.js';

/** Errors of all calls: as `HeldTables.named`, `HeldTable` and `HeldSteps`. */
export function fillTable(
  tables: HeldTables,
  key: TablesKey,
  { side: name, chunk, clock }: FilledRows__Output,
): void {
  const open = tables.named(key);
  const side = sideOf(name);
  const { rowStart } = chunk!;
  if (open.steps === undefined) {
    const table = sideOfTables(open, side);
    table.fill(clock, rowStart, decodeRows(chunk!, table.factors));
  } else open.steps.fill(side, clock, rowStart, decodeRows(chunk!, open.steps.columns));
}

export function acceptResults(tables: HeldTables, { key, results }: AcceptResultsRequest__Output): void {
  const open = tables.named(key);
  for (const { side, block, clock, leaseId, mergeRate, isElsewhere } of results) {
    const { steps } = open;
    if (steps === undefined) sideOfTables(open, sideOf(side)).accept(block, clock, leaseId);
    else steps.accept(block, { clock, leaseId }, { mergeRate, isElsewhere });
  }
}

export function commitTable(
  tables: HeldTables,
  { key, side, clock, isBest }: CommitTableRequest__Output,
): void {
  const open = tables.named(key);
  if (open.steps === undefined) sideOfTables(open, sideOf(side)).commit(clock);
  else if (isBest) open.steps.keepBest(sideOf(side), clock);
  else open.steps.keep(sideOf(side), clock);
}
