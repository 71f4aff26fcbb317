// Handlers of stoa.parameters.v1.TablesService: what a coordinator has a parameter process do.

import { ShapeError } from '../../common/errors.js';
import type { FillTableRequest__Output } from '../../proto/generated/stoa/parameters/v1/FillTableRequest.js';
import type { FillTableResponse } from '../../proto/generated/stoa/parameters/v1/FillTableResponse.js';
import type { TablesServiceHandlers } from '../../proto/generated/stoa/parameters/v1/TablesService.js';
import { type ErrorLog, unary } from '../grpc-errors.js';
import { clientStream } from '../grpc-streams.js';
import type { HeldTables } from './held-tables.js';
import { acceptResults, commitTable, fillTable } from './table-calls.js';

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
    AcceptResults: unary((request) => {
      acceptResults(tables, request);
      return {};
    }, log),
    CommitTable: unary((request) => {
      commitTable(tables, request);
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
    fillTable(tables, key, filled);
  }
}
