import type { Dataset } from '../../datasets/dataset.js';
import type { Side } from '../../models/csr.js';
import { initSgdRows } from '../../models/sgd/init-rows.js';
import { mergeRate } from '../../models/sgd/merge-weights.js';
import type { SgdSettings } from '../../models/sgd/sgd-settings.js';
import { PlacedStepStore } from '../holders/placed-step-store.js';
import type { PlacedTables } from '../holders/placed-tables.js';
import type { RowSource } from '../parameters/row-source.js';
import { StepStore } from '../parameters/step-store.js';
import type { RunPlan } from '../plan/plan-run.js';
import { type RunConfig, sgdSettingsOf } from '../plan/run-config.js';
import { clocksPerEpoch, stepsOfClock } from '../schedule/sync/clock-steps.js';
import { leadMax, parseSyncMode, stepsPerClock } from '../schedule/sync/sync-mode.js';
import type { Snapshot } from './checkpoint.js';
import { StepTraining, type StepTrainingOptions } from './step-training.js';

const SIDES = ['users', 'items'] as const;
/** Rows that are initialised at once: some megabytes. */
const ROWS_AT_ONCE = 8192;

type Options = Omit<StepTrainingOptions, 'store' | 'settings' | 'itemCounts'> & {
  rowCounts: { users: Int32Array; items: Int32Array };
};

/** How updates enter the tables of a run, wherever these are. */
export function stepLayout(config: RunConfig): { isImmediate: boolean; isAhead: boolean } {
  const mode = parseSyncMode(config['train.sync']);
  return { isImmediate: mode.kind === 'asp', isAhead: leadMax(mode) > 0 };
}

/** Clock at which an epoch begins. */
export function clockOfEpoch(config: RunConfig, epoch: number): number {
  const mode = parseSyncMode(config['train.sync']);
  return epoch * clocksPerEpoch(config['train.steps'], stepsPerClock(mode));
}

/**
 * The training of a model that pushes and pulls, its tables filled.
 *
 * @param snapshot where the run goes on; checked against the plan.
 */
export async function openStepTraining(
  options: Options,
  snapshot: Snapshot | undefined,
): Promise<StepTraining> {
  const { config, plan, rowCounts, data, phaseStart } = options;
  const settings = await settingsOf(config, data);
  const store = new StepStore({
    users: plan.users,
    rows: plan.items,
    columns: plan.factors,
    blocks: plan.blocks.users.length,
    ...stepLayout(config),
    mergeRate: rateOf(config, settings),
  });
  const tables = { users: store.users, items: store.items.table };
  for (const side of SIDES) {
    if (snapshot !== undefined) tables[side].set(snapshot.tables[side]);
    else initialRows(side, { rowStart: 0, rowEnd: plan[side] }, tables[side], config, settings);
  }
  store.items.setClock(clockOfEpoch(config, phaseStart));
  store.keep();
  if (config['train.early_stopping'] > 0 && snapshot !== undefined) store.keepBest(snapshot.best?.tables);
  return new StepTraining({ ...options, settings, itemCounts: rowCounts.items, store });
}

/** As `openStepTraining`, over tables in parameter processes that were opened at the clock. @throws {HolderLost}. */
export async function openPlacedStepTraining(
  options: Options,
  placed: PlacedTables,
  snapshot: Snapshot<RowSource> | undefined,
): Promise<StepTraining> {
  const { config, plan, rowCounts, data, phaseStart } = options;
  const settings = await settingsOf(config, data);
  const clock = clockOfEpoch(config, phaseStart);
  const store = new PlacedStepStore(placed, clock, rateOf(config, settings));
  const isValidated = config['train.early_stopping'] > 0;
  const best = isValidated ? snapshot?.best : undefined;
  if (best !== undefined) {
    const bestClock = clockOfEpoch(config, best.nextPhase);
    for (const side of SIDES) await placed.fillFrom(side, bestClock, best.tables[side]);
    await store.keep(bestClock);
    await store.keepBest();
  }
  for (const side of SIDES) {
    const source = snapshot?.tables[side] ?? initialSource(side, plan, config, settings);
    await placed.fillFrom(side, clock, source);
  }
  await store.keep();
  if (isValidated && snapshot !== undefined && best === undefined) await store.keepBest();
  return new StepTraining({ ...options, settings, itemCounts: rowCounts.items, store });
}

async function settingsOf(config: RunConfig, data: Dataset): Promise<SgdSettings> {
  return sgdSettingsOf(config, config.model === 'mf' ? await meanValue(data) : 0);
}

function rateOf(config: RunConfig, settings: SgdSettings): (clock: number) => number {
  const mode = parseSyncMode(config['train.sync']);
  const steps = { stepsPerEpoch: settings.stepsPerEpoch, stepsPerClock: stepsPerClock(mode) };
  return (clock) => mergeRate(settings, stepsOfClock(clock, steps).stepStart);
}

function initialRows(
  side: Side,
  range: { rowStart: number; rowEnd: number },
  out: Float32Array,
  config: RunConfig,
  { model, factors, seed }: SgdSettings,
): void {
  initSgdRows(out, { model, seed, side, factors, stdDev: config[`${model}.init_stddev`], ...range });
}

function initialSource(side: Side, plan: RunPlan, config: RunConfig, settings: SgdSettings): RowSource {
  const { factors } = plan;
  return {
    byteLength: plan[side] * factors * 4,
    factors,
    read: async function* () {
      for (let rowStart = 0; rowStart < plan[side]; rowStart += ROWS_AT_ONCE) {
        const rowEnd = Math.min(plan[side], rowStart + ROWS_AT_ONCE);
        const rows = new Float32Array((rowEnd - rowStart) * factors);
        initialRows(side, { rowStart, rowEnd }, rows, config, settings);
        yield rows;
      }
    },
  };
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
