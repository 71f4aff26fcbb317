import { DataError } from '../../common/errors.js';
import type { BadRow } from './bad-rows.js';
import { writeRejects } from './rejects-file.js';

export interface BadRowTotals {
  rowsRead: number;
  rowsRejected: number;
  /** Those of `rowsRejected` that were not UTF-8. */
  notUtf8: number;
  /** In file order; the first 100 000 of each file. */
  rows: BadRow[];
}

/** Bad rows shown in a message. */
const SHOWN_MAX = 3;

/**
 * Writes the rejects file when there are bad rows, and decides whether they are too many.
 *
 * @param maxBad greatest share of bad rows, 0 to 1.
 * @returns the rejects file, if any.
 * @throws {DataError} `STOA_DATA_ENCODING`, `STOA_DATA_ROWS`: too many, or nothing else.
 */
export async function checkBadRows(
  totals: BadRowTotals,
  out: string,
  maxBad: number,
): Promise<string | undefined> {
  const { rowsRead, rowsRejected, notUtf8, rows } = totals;
  if (rowsRejected === 0) return undefined;
  const file = await writeRejects(out, rows);
  if (rowsRejected <= maxBad * rowsRead && rowsRejected < rowsRead) return file;
  const shown = rows.slice(0, SHOWN_MAX).map((row) => `${row.file} line ${row.line}: ${row.reason}`);
  const samples = shown.join('; ') + (rowsRejected > SHOWN_MAX ? '; …' : '');
  const share = `${rowsRejected} of ${rowsRead} rows are bad (${percent(rowsRejected / rowsRead)})`;
  const limit = rowsRejected === rowsRead ? '' : `, more than --max-bad ${percent(maxBad)}`;
  const isEncoding = notUtf8 * 2 > rowsRejected;
  const remedy = isEncoding
    ? 'the text is not UTF-8: convert it, for example with iconv -f ISO-8859-1 -t UTF-8'
    : 'correct them, or allow more with --max-bad';
  throw new DataError(
    isEncoding ? 'STOA_DATA_ENCODING' : 'STOA_DATA_ROWS',
    `${share}${limit}: ${samples}. Nothing was written to ${out}; the bad rows are in ${file}; ${remedy}`,
    {
      fields: { file: rows[0]?.file ?? '', line: rows[0]?.line ?? 0, rejects: file, rejected: rowsRejected },
    },
  );
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}
