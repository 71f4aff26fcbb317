// Metrics of a model next to the baselines, as a table for the terminal.

import { textTable } from './text-table.js';

/** Columns in the order of interest; those that the evaluation has are shown as far as the width allows. */
const COLUMNS = ['hr@10', 'ndcg@10', 'recall@20', 'ndcg@100', 'map@10', 'coverage@10'];

const BASELINE_NAMES: Readonly<Record<string, string>> = {
  popular: 'popular',
  itemknn: 'item-kNN',
  ease: 'EASE',
};

/**
 * @param metrics the `metrics` of `train --json`: numbers by name, `baselines` with the same, `users_evaluated`.
 * @param model what the first row is called.
 */
export function metricsTable(
  metrics: Readonly<Record<string, unknown>>,
  model: string,
  width: number,
  indent = '',
): string {
  const columns = COLUMNS.filter((name) => typeof metrics[name] === 'number');
  const rows = [[model, ...cells(metrics, columns)]];
  const notes: string[] = [];
  for (const [name, values] of Object.entries((metrics['baselines'] ?? {}) as Record<string, object>)) {
    const label = BASELINE_NAMES[name] ?? name;
    if ('skipped' in values) notes.push(`${indent}${label} was left out: ${String(values.skipped)}`);
    else rows.push([label, ...cells(values as Record<string, unknown>, columns)]);
  }
  return [textTable(rows, { header: ['', ...columns], width, indent }), ...notes].join('\n');
}

function cells(values: Readonly<Record<string, unknown>>, columns: readonly string[]): string[] {
  return columns.map((name) => {
    const value = values[name];
    return typeof value === 'number' ? value.toFixed(4) : '–';
  });
}
