// What a worker keeps of the run in progress: what to solve, the data, its copies of both tables.

import type { ExchangeFile } from '../common/exchange-file.js';
import { RowExchange } from '../common/row-exchange.js';
import type { Side } from '../models/csr.js';
import type {
  ComputeDevice,
  GatherPrecision,
  IalsObjective,
  SolverName,
  SolverOptions,
} from '../models/device.js';
import type { RowsEncoding__Output as RowsEncoding } from '../proto/generated/stoa/parameters/v1/RowsEncoding.js';
import type { GetRunSpecResponse__Output } from '../proto/generated/stoa/training/v1/GetRunSpecResponse.js';
import { CONTROL, type CoordinatorLink } from './coordinator-link.js';
import { type DatasetSource, openSource } from './dataset-source.js';
import { FactorMirror } from './factor-mirror.js';
import { RowHomes } from './row-homes.js';

export interface RunMirror {
  readonly runId: string;
  readonly objective: IalsObjective;
  readonly solver: SolverOptions;
  readonly factors: number;
  /** How rows travel in messages. Where it is not f32, solved rows are rounded to it. */
  readonly encoding: RowsEncoding;
  readonly wantLoss: boolean;
  readonly source: DatasetSource;
  readonly tables: Readonly<Record<Side, FactorMirror>>;
  /** Where its rows are. */
  readonly homes: RowHomes;
  /** Absent: rows travel in messages. */
  readonly exchange?: RowExchange;
  dispose(): void;
}

export interface RunMirrorOptions {
  link: CoordinatorLink;
  device: ComputeDevice;
  cacheDir: string;
  sessionId: string;
  /** Of the session, where worker and coordinator are on one machine. */
  exchange?: ExchangeFile;
}

export async function openRunMirror(
  runId: string,
  { link, device, cacheDir, sessionId, exchange: file }: RunMirrorOptions,
  signal: AbortSignal,
): Promise<RunMirror> {
  const spec = await link.call(link.data, CONTROL.GetRunSpec, { runId }, { signal });
  const source = await openSource(spec, link, cacheDir);
  const { factors, wantsLoss: wantLoss, rowsEncoding: encoding } = spec;
  const homes = new RowHomes(link, spec, spec.holders, link.tls);
  const exchange = file === undefined || homes.isElsewhere ? undefined : new RowExchange(file, spec);
  const mirror = (side: Side, rows: number) =>
    FactorMirror.create({ runId, side, rows, factors, encoding, device, link, homes, sessionId, exchange });
  const tables = { users: await mirror('users', spec.users), items: await mirror('items', spec.items) };
  return {
    runId,
    objective: objectiveOf(spec),
    solver: solverOf(spec),
    factors,
    encoding,
    wantLoss,
    source,
    tables,
    homes,
    exchange,
    dispose: () => {
      tables.users.dispose();
      tables.items.dispose();
      homes.close();
    },
  };
}

function objectiveOf({ objective }: GetRunSpecResponse__Output): IalsObjective {
  const { alpha0, alpha, regularization, nu } = objective!;
  return {
    objective: objective!.objective as IalsObjective['objective'],
    weights: objective!.weights as IalsObjective['weights'],
    alpha0,
    alpha,
    regularization,
    nu,
  };
}

/** The coordinator offers only solvers and gathers that this worker's device said it has. */
function solverOf({ solver }: GetRunSpecResponse__Output): SolverOptions {
  const { name, cgSteps, block, gather } = solver!;
  return {
    name: name as SolverName,
    cgSteps,
    block,
    gather: gather === '' ? 'f32' : (gather as GatherPrecision),
  };
}
