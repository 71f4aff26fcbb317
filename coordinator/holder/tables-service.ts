// Handlers of stoa.parameters.v1.TablesService: what a coordinator has a parameter process do.

import { ShapeError } from '../../common/errors.js';
import { decodeRows } from '../../common/row-chunks.js';
import { sideOf } from '../../common/sides.js';
import type { FillTableRequest__Output } from '../../proto/generated/stoa/parameters/v1/FillTableRequest.js';
import type { FillTableResponse } from '../../proto/generated/stoa/parameters/v1/FillTableResponse.js';
import type { TablesServiceHandlers } from '../../proto/generated/stoa/parameters/v1/TablesService.js';
import { type ErrorLog, unary } from '../grpc-errors.js';
import { clientStream } from '../grpc-streams.js';
import { type HeldTables, sideOfTables } from './held-tables.js';

export function tablesService(tables: HeldTables, log: ErrorLog): TablesServiceHandlers {
  return {
    OpenTables: unary((request) => {
      tables.open(request);
      return {};
    }, log),
    FillTable: clientStream<FillTableRequest__Output, FillTableResponse>(async (parts) => {
      await fill(tables, parts);
      return {};
    }, log),
    AcceptResults: unary(({ key, results }) => {
      const open = tables.named(key);
      for (const { side, block, clock, leaseId, mergeRate, isElsewhere } of results) {
        const { steps } = open;
        if (steps === undefined) sideOfTables(open, sideOf(side)).accept(block, clock, leaseId);
        else steps.accept(block, { clock, leaseId }, { mergeRate, isElsewhere });
      }
      return {};
    }, log),
    CommitTable: unary(({ key, side, clock, isBest }) => {
      const open = tables.named(key);
      if (open.steps === undefined) sideOfTables(open, sideOf(side)).commit(clock);
      else if (isBest) open.steps.keepBest(sideOf(side), clock);
      else open.steps.keep(sideOf(side), clock);
      return {};
    }, log),
    CloseTables: unary(({ key }) => {
      tables.close(key);
      return {};
    }, log),
  };
}

async function fill(tables: HeldTables, parts: AsyncIterator<FillTableRequest__Output>): Promise<void> {
  const first = await parts.next();
  if (first.done || !first.value.key) throw new ShapeError('STOA_SHAPE', 'the key comes first, then rows');
  const { key } = first.value;
  for (let part = await parts.next(); !part.done; part = await parts.next()) {
    const { filled } = part.value;
    if (!filled?.chunk) throw new ShapeError('STOA_SHAPE', 'the key comes first, then rows');
    const open = tables.named(key);
    const side = sideOf(filled.side);
    const { rowStart } = filled.chunk;
    if (open.steps === undefined) {
      const table = sideOfTables(open, side);
      table.fill(rowStart, decodeRows(filled.chunk, table.factors));
    } else open.steps.fill(side, rowStart, decodeRows(filled.chunk, open.steps.columns));
  }
}
