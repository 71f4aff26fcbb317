// How far behind the reads of a run that pushes and pulls were.

import { dataTable } from './figure.js';
import { formatCount } from './format.js';
import { type Markup, markup } from './markup.js';
import type { PhaseRecord } from './phase-record.js';

/** The section, or nothing where no read was counted. */
export function stalenessTable(phases: readonly PhaseRecord[]): Markup | undefined {
  const counts: number[] = [];
  for (const { staleness } of phases) {
    staleness?.forEach((reads, behind) => {
      counts[behind] = (counts[behind] ?? 0) + reads;
    });
  }
  const total = counts.reduce((sum, reads) => sum + reads, 0);
  if (total === 0) return undefined;
  const rows = counts.map((reads, behind) => [
    formatCount(behind),
    formatCount(reads),
    `${((100 * reads) / total).toFixed(1)} %`,
  ]);
  return markup`<section><h2>Staleness of reads</h2><p class="caption">How many clocks behind the one it was computing a block read the items.</p>
${dataTable({ head: ['Clocks behind', 'Reads', 'Share'], rows })}</section>`;
}
