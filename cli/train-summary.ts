// What `stoa train` and `stoa resume` say at the end.

import path from 'node:path';
import type { TrainResult } from '../coordinator/training/train-result.js';
import type { FederatedResult } from './federated-run.js';
import { median } from './median.js';
import { metricsTable } from './metrics-table.js';
import type { Output } from './output.js';
import { bytes, count, duration } from './quantities.js';

export function answerRun(result: TrainResult, runDir: string, output: Output): void {
  output.answer(result, () => trainSummary(result, runDir, output.width));
}

export function answerFederated(result: FederatedResult, runDir: string, output: Output): void {
  output.answer(result, () => federatedSummary(result, runDir, output.width));
}

function federatedSummary(result: FederatedResult, runDir: string, width: number): string {
  const { federated } = result;
  const protection = [
    federated.masking ? 'masked sums' : 'sums without masks',
    ...(federated.epsilon === undefined ? [] : [`ε = ${federated.epsilon}`]),
  ].join(', ');
  const failed = federated.rounds_failed + federated.sweeps_cut;
  const lines = [
    `trained ${result.model} over ${federated.participants} institutions by ${protection}`,
    `  ${count(result.users)} users, ${count(result.items)} items, ${result.factors} factors, ${result.epochs} sweeps, ` +
      `${result.solver}, ${result.device} device`,
    `  ${duration(result.seconds_total)}; ${duration(median(result.epoch_seconds))} a sweep (median), ` +
      `${count(federated.rounds)} rounds${failed === 0 ? '' : `, ${federated.rounds_failed} failed, ${federated.sweeps_cut} sweeps cut short`}`,
    `  an institution sent ${bytes(federated.bytes_up)} and fetched ${bytes(federated.bytes_down)}, on average`,
  ];
  if (result.metrics !== undefined) {
    lines.push('', 'on held-out interactions:', metricsTable(result.metrics, result.model, width, '  '));
  }
  const first = path.join(runDir, 'participants', federated.institutions[0]!.name);
  lines.push(
    '',
    `model   ${result.model_dir}, all institutions together; one's own in ${path.join(first, 'model')}`,
    `next    stoa audit verify ${path.join(first, 'identity', 'audit')}`,
    `        stoa serve --model ${path.join(first, 'model')} --listen 127.0.0.1:7071`,
  );
  return lines.join('\n');
}

function trainSummary(result: TrainResult, runDir: string, width: number): string {
  const secondsAnEpoch = median(result.epoch_seconds);
  const workers = result.workers === 1 ? '1 worker' : `${result.workers} workers`;
  const each = result.threads === 1 ? '1 thread' : `${result.threads} threads`;
  const lines = [
    `trained ${result.model} on ${count(result.interactions)} ${result.synthetic ? 'synthetic ' : ''}interactions`,
    `  ${count(result.users)} users, ${count(result.items)} items, ${result.factors} factors, ${result.epochs} epochs, ` +
      `${result.solver}, ${result.device} device`,
    `  ${duration(result.seconds_total)} by ${workers} of ${each}; ${duration(secondsAnEpoch)} an epoch (median)`,
    `  peak memory: ${memoryLine(result)}`,
  ];
  const lastLoss = result.loss?.at(-1);
  const kept = result.epoch_kept;
  if (kept !== undefined && kept < result.epochs) {
    lines.push(`  the model is that of epoch ${kept}, whose validation loss is the least`);
  }
  if (lastLoss !== undefined) lines.push(`  loss ${lastLoss.toPrecision(7)}`);
  if (result.metrics !== undefined) {
    const users = result.metrics['users_evaluated'];
    const who = typeof users === 'number' ? ` of ${count(users)} users` : '';
    lines.push(
      '',
      `on held-out interactions${who}:`,
      metricsTable(result.metrics, result.model, width, '  '),
    );
  }
  lines.push(
    '',
    `model   ${result.model_dir}`,
    `report  ${path.join(runDir, 'report.html')}`,
    `next    stoa recommend --model ${runDir} --user ID`,
    `        stoa serve --model ${runDir} --listen 127.0.0.1:7071`,
  );
  return lines.join('\n');
}

function memoryLine(result: TrainResult): string {
  return Object.entries(result.peak_rss_by_process)
    .sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))
    .map(([name, peak]) => `${name} ${bytes(peak)}`)
    .join(', ');
}
