// What a worker keeps of a push/pull run in progress: how to descend, the data, the user rows it computed itself.

import { sharedInt32 } from '../../common/shared-memory.js';
import type { Csr } from '../../models/csr.js';
import type { SgdSettings } from '../../models/sgd/sgd-settings.js';
import type { GetRunSpecResponse__Output } from '../../proto/generated/stoa/training/v1/GetRunSpecResponse.js';
import type { StepSpec__Output } from '../../proto/generated/stoa/training/v1/StepSpec.js';
import { CONTROL, type CoordinatorLink } from '../coordinator-link.js';
import { type DatasetSource, openSource } from '../dataset-source.js';
import { RowHomes } from '../row-homes.js';

export interface StepRun {
  readonly runId: string;
  readonly settings: SgdSettings;
  readonly itemCounts: Int32Array;
  readonly validationShare: number;
  /** Columns of a row. */
  readonly columns: number;
  readonly source: DatasetSource;
  /** Where its rows are. */
  readonly homes: RowHomes;
  /** By block: the interactions that it trains with, where some are held out. */
  readonly training: Map<number, Promise<Csr>>;
  /** By block: its user rows at the clock that this worker brought them to. */
  readonly users: Map<number, { clock: number; rows: Float32Array }>;
}

export async function openStepRun(
  runId: string,
  { link, cacheDir }: { link: CoordinatorLink; cacheDir: string },
  signal: AbortSignal,
): Promise<StepRun> {
  const spec = await link.call(link.data, CONTROL.GetRunSpec, { runId }, { signal });
  const source = await openSource(spec, link, cacheDir);
  const steps = spec.steps!;
  return {
    runId,
    settings: settingsOf(steps),
    itemCounts: countsOf(spec, steps),
    validationShare: steps.validationShare,
    columns: spec.factors,
    source,
    homes: new RowHomes(link, spec, spec.holders, link.tls),
    training: new Map(),
    users: new Map(),
  };
}

/** The coordinator has checked them. */
function settingsOf(spec: StepSpec__Output): SgdSettings {
  return {
    model: spec.model as SgdSettings['model'],
    factors: spec.factors,
    learningRate: spec.learningRate,
    schedule: spec.schedule as SgdSettings['schedule'],
    decay: spec.decay,
    regularization: spec.regularization,
    negatives: spec.negatives as SgdSettings['negatives'],
    popularityExponent: spec.popularityExponent,
    seed: spec.seed,
    epochs: spec.epochs,
    stepsPerEpoch: spec.stepsPerEpoch,
    mean: spec.mean,
  };
}

function countsOf({ items }: GetRunSpecResponse__Output, { itemCounts }: StepSpec__Output): Int32Array {
  const counts = sharedInt32(items);
  new Uint8Array(counts.buffer).set(itemCounts);
  return counts;
}
