import type { TermEntry } from './entries.js';
import { type JournalState, stateForTerm } from './journal-state.js';
import type { ChainHead } from './records.js';

/** The entry that a term begins with. @param before the term that was read; absent: there is none. */
export function firstEntry(
  who: Pick<TermEntry, 'term' | 'time' | 'host' | 'pid'>,
  state: JournalState,
  before: { term: number; head: ChainHead } | undefined,
): TermEntry {
  const after = before && {
    term: before.term,
    sequence: before.head.sequence,
    chain: before.head.chain.toString('hex'),
  };
  return { kind: 'term', ...who, after, state: stateForTerm(state) };
}
