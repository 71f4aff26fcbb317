// The loops of scatter.ts as tasks. The default export is the entry of the threads that sort.

import {
  countColumns,
  countTable,
  type Entries,
  type RowsPart,
  scatterColumns,
  scatterTable,
  type TablePart,
} from './scatter.js';

/** Arrays are over SharedArrayBuffers: tasks write into the caller's. */
export type ScatterTask =
  | { kind: 'count-table'; part: TablePart; counts: Int32Array }
  | { kind: 'scatter-table'; part: TablePart; next: Int32Array; out: Entries }
  | { kind: 'count-columns'; part: RowsPart; counts: Int32Array }
  | { kind: 'scatter-columns'; part: RowsPart; next: Int32Array; out: Entries };

export default function runScatterTask(task: ScatterTask): void {
  if (task.kind === 'count-table') countTable(task.part, task.counts);
  else if (task.kind === 'scatter-table') scatterTable(task.part, task.next, task.out);
  else if (task.kind === 'count-columns') countColumns(task.part, task.counts);
  else scatterColumns(task.part, task.next, task.out);
}
