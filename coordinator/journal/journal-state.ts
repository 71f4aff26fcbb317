import type { JournalEntry, JournaledRun, Promotion, TermEntry } from './entries.js';

/** Phase ends that are remembered of a run: more than checkpoints are ever kept. */
export const PHASE_ENDS_KEPT = 100;

/** What a coordinator knows from its journal: the runs in order of their submission, and which model is served. */
export interface JournalState {
  readonly runs: Map<string, JournaledRun>;
  promotion: Promotion | undefined;
}

export function emptyState(): JournalState {
  return { runs: new Map(), promotion: undefined };
}

/** Takes up one entry. Entries of runs that are not known are passed over: their beginning was lost with a journal. */
export function applyEntry(state: JournalState, entry: JournalEntry): void {
  switch (entry.kind) {
    case 'term':
      state.runs.clear();
      for (const run of entry.state.runs)
        state.runs.set(run.record.run_id, { ...run, phases: [...run.phases] });
      state.promotion = entry.state.promotion;
      return;
    case 'submitted':
      state.runs.set(entry.record.run_id, { record: entry.record, config: entry.config, phases: [] });
      return;
    case 'run': {
      const run = state.runs.get(entry.record.run_id);
      if (run !== undefined) run.record = entry.record;
      return;
    }
    case 'phase': {
      const run = state.runs.get(entry.run_id);
      if (run === undefined) return;
      // A run that fell back does phases again: what was said of them before is void.
      const before = run.phases.filter(({ next_phase }) => next_phase < entry.end.next_phase);
      run.phases = [...before, entry.end].slice(-PHASE_ENDS_KEPT);
      return;
    }
    case 'promotion':
      state.promotion = entry.promotion;
  }
}

/** The state as the first entry of the next term has it. */
export function stateForTerm(state: JournalState): TermEntry['state'] {
  return { runs: [...state.runs.values()], promotion: state.promotion };
}
