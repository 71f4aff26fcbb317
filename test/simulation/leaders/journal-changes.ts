// Changes as the journal has them, with as little in them as its schema allows.

import type { JournalEntry } from '../../../coordinator/journal/entries.js';
import type { Change } from './leader-oracle.js';

export function entryOf(change: Change): JournalEntry {
  switch (change.kind) {
    case 'submitted':
      return { kind: 'submitted', record: recordOf(change.run, change.mark), config: {} };
    case 'run':
      return { kind: 'run', record: recordOf(change.run, change.mark) };
    case 'phase': {
      const end = { next_phase: change.nextPhase, checkpoint: String(change.mark), sha256: '' };
      return { kind: 'phase', run_id: change.run, end };
    }
    case 'promotion':
      return { kind: 'promotion', promotion: { current: String(change.mark), previous: [] } };
  }
}

function recordOf(run: string, mark: number) {
  return {
    format: 'stoa-run',
    version: 1,
    run_id: run,
    state: 'running',
    create_time: '',
    dataset: '',
    dataset_fingerprint: '',
    active_ms: mark,
    phases_done: 0,
  } as const;
}
