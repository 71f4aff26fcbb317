// Reads a journal from disk: a folder for each term, in each the store that its leader wrote.
//
// The store's file is read as bytes, not opened as a database: a database whose pages were damaged ends the process
// that follows them, and one whose writer was frozen in the middle of a transaction may hold its locks. Records carry
// their own checksums and are found by them.

import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { JournalEntry } from './entries.js';
import { storeClaims } from './lmdb-file.js';
import type { ChainHead } from './records.js';
import { entriesOf } from './term-entries.js';

const TERM_NAME = /^term-(\d{6,15})$/;

/** A term as it was found. */
export interface ReadTerm {
  readonly term: number;
  readonly dir: string;
  /** The first is a `term` entry. */
  readonly entries: readonly JournalEntry[];
  readonly head: ChainHead;
  /** What is wrong after the entries, one sentence; absent when nothing is. */
  readonly damage?: string;
}

export function termDir(journalDir: string, term: number): string {
  return path.join(journalDir, `term-${String(term).padStart(6, '0')}`);
}

/** The terms that have a folder, in their order. */
export async function listTerms(journalDir: string): Promise<number[]> {
  const names = await readdir(journalDir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.flatMap((name) => Number(TERM_NAME.exec(name)?.[1] ?? [])).sort((a, b) => a - b);
}

/** Reads the whole records of a term; whatever is wrong with the rest is said in `damage`. */
export async function readTerm(journalDir: string, term: number): Promise<ReadTerm> {
  const dir = termDir(journalDir, term);
  const file = path.join(dir, 'data.mdb');
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  });
  const { entries, head, sequenceSeen, isForeign } = entriesOf(bytes, term);
  const foreign = `record ${entries.length + 1} of ${file} says nothing that this version of Stoa knows`;
  const damage = isForeign ? foreign : damageOf(bytes, file, head, sequenceSeen);
  return { term, dir, entries, head, damage };
}

function damageOf(bytes: Buffer, file: string, head: ChainHead, sequenceSeen: number): string | undefined {
  const good = head.sequence;
  if (bytes.length === 0) return `${file} is missing or empty`;
  const claims = storeClaims(bytes);
  if (sequenceSeen > good) return `record ${good + 1} of ${file} is not what was written`;
  if (claims === undefined) return `${file} has lost its first pages`;
  if (claims.bytes > bytes.length) return `${file} has ${bytes.length} bytes of ${claims.bytes}`;
  if (claims.records > good) return `${file} has ${good} whole records of ${claims.records}`;
  return undefined;
}
