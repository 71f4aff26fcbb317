import { readFile, writeFile } from 'node:fs/promises';
import { explainDisk } from '../../common/atomic-files.js';
import type { BadRow } from './bad-rows.js';

const HEADER = 'file,line,reason,row';

/**
 * Writes the bad rows as CSV beside the output: `OUT.rejects.csv`, or `OUT.rejects-2.csv`… when that is a file that is
 * not a rejects file. An earlier rejects file is replaced.
 *
 * @returns the name that was taken.
 */
export async function writeRejects(out: string, rows: readonly BadRow[]): Promise<string> {
  const file = await freeName(out.replace(/[/\\]+$/, ''));
  const lines = rows.map((row) => [row.file, String(row.line), row.reason, row.text].map(csvField).join(','));
  await writeFile(file, `${[HEADER, ...lines].join('\n')}\n`).catch((error) => {
    throw explainDisk(error, file);
  });
  return file;
}

async function freeName(out: string): Promise<string> {
  for (let n = 1; ; n++) {
    const file = `${out}.rejects${n === 1 ? '' : `-${n}`}.csv`;
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (text === null || text.startsWith(`${HEADER}\n`)) return file;
  }
}

/** RFC 4180, and a quote before what a spreadsheet would take for a formula. */
function csvField(text: string): string {
  const safe = /^[=+\-@\t\r\0]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
