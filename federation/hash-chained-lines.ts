// Records in a file, one line for each, which people can read and nobody can change, remove or move without a trace:
//
//   <SHA-256 over the chain before, the sequence number and the text> <sequence number> <the record as JSON>

import { sha256 } from '../common/checksums.js';
import type { CorruptError } from '../common/errors.js';

/** Where a chain stands: how many records it has, and the checksum over them all. */
export interface ChainHead {
  /** 0 before the first record. */
  readonly sequence: number;
  readonly chain: string;
}

export interface ChainedRecords<T> {
  readonly records: readonly T[];
  /** Where the chain stood after each record. */
  readonly heads: readonly ChainHead[];
  /** Bytes up to the end of the last whole line. What follows was being written when the process or the machine ended. */
  readonly wholeBytes: number;
}

export interface HashChainedLines<T> {
  /** Before the first record. */
  readonly empty: ChainHead;
  /** The line that continues a chain, with its end, and where the chain stands with it. */
  encode(head: ChainHead, record: T): { line: string; head: ChainHead };
  /**
   * Reads a file's bytes.
   *
   * @param file for the error.
   * @throws what `damaged` makes: a whole line is not what was written, or not in its place.
   */
  read(bytes: Buffer, file: string): ChainedRecords<T>;
}

/**
 * @param label   of chains of this kind; another kind's lines do not continue them.
 * @param schema  `parse` throws for what is no record.
 * @param damaged makes the error.
 */
export function hashChainedLines<T>(
  label: string,
  schema: { parse(value: unknown): T },
  damaged: (file: string, what: string) => CorruptError,
): HashChainedLines<T> {
  const empty: ChainHead = { sequence: 0, chain: sha256(label) };
  return {
    empty,
    encode(head, record) {
      const text = JSON.stringify(schema.parse(record));
      const next = headAfter(head, text);
      return { line: `${next.chain} ${next.sequence} ${text}\n`, head: next };
    },
    read(bytes, file) {
      const records: T[] = [];
      const heads: ChainHead[] = [];
      let head = empty;
      let at = 0;
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, at)) {
        const raw = bytes.subarray(at, end);
        const match = /^([0-9a-f]{64}) ([1-9][0-9]{0,14}) (.*)$/s.exec(raw.toString('utf8'));
        const next = match === null ? undefined : headAfter(head, match[3]!);
        const isWhole = next !== undefined && next.chain === match![1] && String(next.sequence) === match![2];
        const record = isWhole ? parsed(schema, match![3]!) : undefined;
        if (record === undefined || !Buffer.from(raw.toString('utf8')).equals(raw)) {
          throw damaged(file, `line ${records.length + 1} is not what was written`);
        }
        head = next!;
        records.push(record);
        heads.push(head);
        at = end + 1;
      }
      return { records, heads, wholeBytes: at };
    },
  };
}

function headAfter({ sequence, chain }: ChainHead, text: string): ChainHead {
  return { sequence: sequence + 1, chain: sha256(`${chain} ${sequence + 1} ${text}`) };
}

function parsed<T>(schema: { parse(value: unknown): T }, text: string): T | undefined {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
