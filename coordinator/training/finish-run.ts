// After the last phase: evaluates, saves the model, writes the report and the result.

import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import type { Clock } from '../../common/clock.js';
import type { Csr } from '../../models/csr.js';
import { bestEpoch } from '../../models/sgd/validation.js';
import { type EvaluationReport, evaluate, metricsJson } from '../evaluation/evaluate.js';
import { objectiveOf, type RunConfig } from '../plan/run-config.js';
import { writeModel } from '../registry/model-folder.js';
import { renderRunReport } from '../report/run-report.js';
import type { Run } from './run.js';
import type { RunData } from './run-data.js';
import type { TrainResult } from './train-result.js';
import type { Training } from './training.js';
import type { WorkerRoster } from './worker-roster.js';

export interface FinishOptions {
  run: Run;
  data: RunData;
  training: Training;
  rowCounts: { users: Int32Array; items: Int32Array };
  roster: WorkerRoster;
  /** Peak resident set size of other processes by name, bytes. */
  peaks: Record<string, number>;
  clock: Clock;
}

/** Everything is safe to repeat: a run that was cut off here does it again when it is resumed. */
export async function finishRun(options: FinishOptions): Promise<TrainResult> {
  const { run, data, training, rowCounts, clock } = options;
  const history = await data.train.loadCsr('users');
  const evaluation = await evaluateRun(options, history);
  const metrics = evaluation && metricsJson(evaluation);
  run.stopping.signal.throwIfAborted();
  run.enterStage('saving');
  await rm(run.folder.modelDir, { recursive: true, force: true });
  await writeModel(run.folder.modelDir, {
    version: run.id,
    runId: run.id,
    createTime: clock.date(),
    config: run.config,
    datasetFingerprint: data.train.fingerprint,
    synthetic: data.train.manifest.synthetic,
    userIds: await data.train.userIds(),
    items: await data.train.items(),
    userFactors: await training.table('users'),
    itemFactors: await training.table('items'),
    history,
    metrics,
    devices: training.devices,
  });
  const result = resultOf(options, metrics);
  const report = renderRunReport({
    runId: run.id,
    createTime: run.record.create_time,
    synthetic: result.synthetic,
    summary: { ...result, config: run.config },
    phases: [...training.metrics.records],
    evaluation,
    degrees: rowCounts,
  });
  await run.folder.writeText('report.html', report);
  if (evaluation !== undefined) await run.folder.writeJson('evaluation.json', evaluation);
  await run.folder.writeJson('result.json', result);
  return result;
}

async function evaluateRun(
  { run, data, training }: FinishOptions,
  train: Csr,
): Promise<EvaluationReport | undefined> {
  if (data.test === undefined) return undefined;
  run.enterStage('evaluating');
  return evaluate({
    train,
    history: await data.foldIn?.loadCsr('users'),
    foldIn: data.foldIn === undefined ? undefined : objectiveOf(run.config),
    test: await data.test.loadCsr('users'),
    userFactors: await training.table('users'),
    itemFactors: await training.table('items'),
    factors: training.plan.factors,
    threads: availableParallelism(),
    seed: run.config['train.seed'],
    signal: run.stopping.signal,
  });
}

function resultOf(options: FinishOptions, metrics: Record<string, unknown> | undefined): TrainResult {
  const { run, data, training, roster } = options;
  const { config } = run;
  const { manifest, fingerprint } = data.train;
  const workers = [...training.sessions].map((id) => roster.get(id)).filter((entry) => entry !== undefined);
  workers.sort((a, b) => (a.name < b.name ? -1 : 1));
  const coordinator = process.resourceUsage().maxRSS * 1024;
  const peaks: Record<string, number> = { coordinator, ...options.peaks };
  for (const { name, peakRssBytes } of workers) peaks[name] = Math.max(peaks[name] ?? 0, peakRssBytes);
  const losses = training.metrics.losses();
  return {
    run_id: run.id,
    model: config.model,
    users: manifest.users,
    items: manifest.items,
    interactions: manifest.interactions,
    factors: config[`${config.model}.factors`],
    epochs: run.epochsDone,
    solver: config.model === 'ials' ? config['ials.solver'] : 'sgd',
    device: [...new Set(training.devices.map(({ device }) => device))].sort().join('+'),
    device_detail: training.devices,
    workers: training.workersMost,
    threads: workers.reduce((most, { threads }) => Math.max(most, threads), 0),
    seed: config['train.seed'],
    epoch_seconds: training.metrics.epochSeconds(),
    seconds_total: run.activeMs / 1000,
    peak_rss_bytes: Object.values(peaks).reduce((sum, bytes) => sum + bytes, 0),
    peak_rss_by_process: peaks,
    ...(config['train.loss'] ? { loss: losses } : {}),
    ...(metrics === undefined ? {} : { metrics }),
    ...syncFacts(training, config),
    synthetic: manifest.synthetic,
    model_dir: run.folder.modelDir,
    dataset_fingerprint: fingerprint,
  };
}

/** Of a model that pushes and pulls. */
function syncFacts({ metrics }: Training, config: RunConfig): Partial<TrainResult> {
  if (config.model === 'ials') return {};
  const staleness: number[] = [];
  for (const record of metrics.records) {
    record.staleness?.forEach((count, behind) => {
      staleness[behind] = (staleness[behind] ?? 0) + count;
    });
  }
  const validation = metrics.records.flatMap((record) => record.validation ?? []);
  const kept = validation.length === 0 ? {} : { validation, epoch_kept: 1 + bestEpoch(validation) };
  return { sync: config['train.sync'], staleness, ...kept };
}
