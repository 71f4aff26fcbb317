import type { Dataset } from '../../datasets/dataset.js';
import { initSgdRows } from '../../models/sgd/init-rows.js';
import { mergeRate } from '../../models/sgd/merge-weights.js';
import { StepStore } from '../parameters/step-store.js';
import { sgdSettingsOf } from '../plan/run-config.js';
import { clocksPerEpoch, stepsOfClock } from '../schedule/sync/clock-steps.js';
import { leadMax, parseSyncMode, stepsPerClock } from '../schedule/sync/sync-mode.js';
import type { Snapshot } from './checkpoint.js';
import { StepTraining, type StepTrainingOptions } from './step-training.js';

type Options = Omit<StepTrainingOptions, 'store' | 'settings' | 'itemCounts'> & {
  rowCounts: { users: Int32Array; items: Int32Array };
  /** Where the run goes on; checked against the plan. */
  snapshot?: Snapshot;
};

/** The training of a model that pushes and pulls, its tables filled. */
export async function openStepTraining(options: Options): Promise<StepTraining> {
  const { config, plan, rowCounts, snapshot, data, phaseStart } = options;
  const settings = sgdSettingsOf(config, config.model === 'mf' ? await meanValue(data) : 0);
  const mode = parseSyncMode(config['train.sync']);
  const steps = { stepsPerEpoch: settings.stepsPerEpoch, stepsPerClock: stepsPerClock(mode) };
  const store = new StepStore({
    users: plan.users,
    rows: plan.items,
    columns: plan.factors,
    blocks: plan.blocks.users.length,
    isImmediate: mode.kind === 'asp',
    isAhead: leadMax(mode) > 0,
    mergeRate: (clock) => mergeRate(settings, stepsOfClock(clock, steps).stepStart),
  });
  const tables = { users: store.users, items: store.items.table };
  for (const side of ['users', 'items'] as const) {
    if (snapshot !== undefined) tables[side].set(snapshot.tables[side]);
    else {
      const { model, factors, seed } = settings;
      const stdDev = config[`${model}.init_stddev`];
      const range = { rowStart: 0, rowEnd: plan[side] };
      initSgdRows(tables[side], { model, seed, side, factors, stdDev, ...range });
    }
  }
  store.items.setClock(phaseStart * clocksPerEpoch(steps.stepsPerEpoch, steps.stepsPerClock));
  store.keep();
  if (config['train.early_stopping'] > 0 && snapshot !== undefined) store.keepBest(snapshot.best?.tables);
  return new StepTraining({ ...options, settings, itemCounts: rowCounts.items, store });
}

/** Mean of all values, in their order. */
async function meanValue(data: Dataset): Promise<number> {
  let sum = 0;
  let count = 0;
  for (let index = 0; index < data.manifest.shards.users.length; index++) {
    const { csr } = await data.loadShard('users', index);
    for (const value of csr.values ?? []) sum += value;
    count += csr.idx.length;
  }
  return count === 0 ? 0 : sum / count;
}
