import { entrySchema, type JournalEntry } from './entries.js';
import { type ChainHead, findRecords } from './records.js';

export interface TermEntries {
  /** The first is a `term` entry. */
  readonly entries: readonly JournalEntry[];
  /** Of the whole records, also those that say nothing that is known. */
  readonly head: ChainHead;
  /** Greatest sequence number that was seen, whole or not. */
  readonly sequenceSeen: number;
  /** A whole record after the entries says nothing that this version knows, or stands where it cannot. */
  readonly isForeign: boolean;
}

/** The entries of a term in the bytes of its store, as far as its chain of records goes. */
export function entriesOf(bytes: Buffer, term: number): TermEntries {
  const { payloads, head, sequenceSeen } = findRecords(bytes, term);
  const entries: JournalEntry[] = [];
  for (const payload of payloads) {
    const entry = parseEntry(payload);
    const isFirst = entries.length === 0;
    if (entry === undefined || (entry.kind === 'term') !== isFirst) {
      return { entries, head, sequenceSeen, isForeign: true };
    }
    entries.push(entry);
  }
  return { entries, head, sequenceSeen, isForeign: false };
}

function parseEntry(payload: Buffer): JournalEntry | undefined {
  try {
    return entrySchema.parse(JSON.parse(payload.toString('utf8')));
  } catch {
    return undefined;
  }
}
