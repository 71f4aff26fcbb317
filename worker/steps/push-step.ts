import { encodeRows, rowsPerChunk } from '../../common/row-chunks.js';
import { writeMessage } from '../../common/write-message.js';
import type { SgdBlockResult } from '../../models/sgd/sgd-block.js';
import type { PushStepResponse__Output } from '../../proto/generated/stoa/parameters/v1/PushStepResponse.js';
import type { RowsChunk } from '../../proto/generated/stoa/parameters/v1/RowsChunk.js';
import type { StepHeader } from '../../proto/generated/stoa/parameters/v1/StepHeader.js';
import type { CoordinatorLink } from '../coordinator-link.js';
import { refused } from '../push-block.js';
import type { RowHomes, RowPeer } from '../row-homes.js';
import { pickRows, splitItems } from './split-items.js';

/** A coordinator that takes nothing for this long is gone, or will have leased the block again. */
const PUSH_MS_MAX = 60_000;

const NONE = new Float32Array(0);

export interface PushedStep {
  runId: string;
  sessionId: string;
  leaseId: number;
  block: number;
  clock: number;
  rowStart: number;
  columns: number;
  /** Item rows of the deltas. */
  items: Int32Array;
  result: SgdBlockResult;
  solveMs: number;
}

interface Rows {
  users: Float32Array;
  rowStart: number;
  deltas: Float32Array;
  columns: number;
}

type Disposition = PushStepResponse__Output['disposition'];

/**
 * Delivers one clock of a block: to the coordinator, or part by part to who has the rows and then, with the receipts, to
 * the coordinator.
 *
 * @returns what became of it. Errors as `GrpcLink.call`.
 */
export async function pushStep(
  link: CoordinatorLink,
  homes: RowHomes,
  step: PushedStep,
  signal: AbortSignal,
): Promise<Disposition> {
  const { items, result, rowStart, columns } = step;
  const { users, deltas, counts } = result;
  const header = { ...headerOf(step), items: [...items], counts: [...counts] };
  if (!homes.isElsewhere) {
    return (await push(link, header, { users, rowStart, deltas, columns }, signal)).disposition;
  }
  const home = homes.placeOf('users', rowStart);
  const pushes = splitItems(homes, items, rowStart).map(async ({ place, items: own, at }) => {
    const part = { ...header, items: [...own], counts: Array.from(at, (n) => counts[n]!) };
    const rows = {
      users: place === home ? users : NONE,
      rowStart,
      deltas: pickRows(deltas, at, columns),
      columns,
    };
    const { disposition, receipt } = await push(homes.at(place)!, part, rows, signal).catch(refused);
    return { disposition, holder: place, receipt };
  });
  const parts = await Promise.all(pushes);
  const other = parts.find(({ disposition }) => disposition !== 'DISPOSITION_HELD');
  if (other !== undefined) return other.disposition;
  const told = { ...header, items: [], counts: [], parts };
  return (await push(link, told, { users: NONE, rowStart, deltas: NONE, columns }, signal)).disposition;
}

function headerOf({ result, ...step }: PushedStep): StepHeader {
  const { runId, sessionId, leaseId, block, clock, solveMs } = step;
  const { loss, sampleCount } = result;
  return { runId, sessionId, leaseId, block, clock, loss, sampleCount, solveMs };
}

function push(
  peer: RowPeer,
  header: StepHeader,
  rows: Rows,
  signal: AbortSignal,
): Promise<PushStepResponse__Output> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + PUSH_MS_MAX };
    const call = peer.parameters.PushStep(options, (error, response) => {
      signal.removeEventListener('abort', onAbort);
      if (error === null) resolve(response!);
      else reject(signal.aborted ? signal.reason : peer.explain(error));
    });
    const onAbort = () => call.cancel();
    signal.addEventListener('abort', onAbort, { once: true });
    const write = async () => {
      const { users: own, rowStart, deltas: changes, columns } = rows;
      await writeMessage(call, { header });
      for (const users of chunksOf(own, rowStart, columns)) await writeMessage(call, { users });
      for (const deltas of chunksOf(changes, 0, columns)) await writeMessage(call, { deltas });
      call.end();
    };
    // Why writing failed is what the answer says.
    write().catch(() => call.cancel());
  });
}

function* chunksOf(rows: Float32Array, rowStart: number, columns: number): Generator<RowsChunk> {
  const step = rowsPerChunk(columns);
  for (let row = 0; row * columns < rows.length; row += step) {
    yield encodeRows(rows.subarray(row * columns, (row + step) * columns), rowStart + row);
  }
}
