// The three kinds of files that `data synthesize` writes, each complete or not there at all.

import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { explainDisk, writeFileAtomic } from '../../common/atomic-files.js';
import { UsageError } from '../../common/errors.js';
import { sqlPath, sqlText } from '../import/duckdb-session.js';
import { SYNTHETIC_KEY } from '../import/file-shape.js';
import { syntheticMark } from '../import/plan-import.js';

export type OutputFormat = 'csv' | 'csv.gz' | 'parquet';

/** Fast rather than small: level 6 takes four times as long for a tenth less. */
const GZIP_LEVEL = 3;

/** @throws {UsageError} `STOA_USAGE`: another ending. */
export function outputFormat(file: string): OutputFormat {
  if (/\.csv$/i.test(file)) return 'csv';
  if (/\.csv\.gz$/i.test(file)) return 'csv.gz';
  if (/\.parquet$/i.test(file)) return 'parquet';
  throw new UsageError('STOA_USAGE', `--out ${file} must end in .csv, .csv.gz or .parquet`, {
    fields: { field: '--out' },
  });
}

/**
 * Writes CSV text as a file of a format. The file says that it is synthetic: Parquet in its metadata, text by a file
 * `FILE.synthetic.json` beside it.
 *
 * @param pieces the text in pieces, header first.
 * @param mark   how the data were made.
 * @throws {SystemError} `STOA_DISK_FULL`, `STOA_ACCESS`.
 */
export async function writeInteractions(file: string, pieces: Iterable<Buffer>, mark: object): Promise<void> {
  const format = outputFormat(file);
  const absolute = path.resolve(file);
  const temporary = path.join(
    path.dirname(absolute),
    `.${path.basename(absolute)}.${randomBytes(6).toString('hex')}.tmp`,
  );
  const written = [temporary];
  try {
    await mkdir(path.dirname(absolute), { recursive: true });
    const text = Readable.from(pieces, { objectMode: true });
    const sink = createWriteStream(temporary, { flags: 'wx' });
    if (format === 'csv.gz') await pipeline(text, createGzip({ level: GZIP_LEVEL }), sink);
    else await pipeline(text, sink);
    if (format === 'parquet') {
      written.push(`${temporary}.parquet`);
      await toParquet(temporary, `${temporary}.parquet`, mark);
    } else {
      await writeFileAtomic(syntheticMark(absolute), `${JSON.stringify(mark, null, 1)}\n`);
    }
    await rename(written.at(-1)!, absolute);
  } catch (error) {
    throw explainDisk(error, file);
  } finally {
    await Promise.all(written.map((name) => rm(name, { force: true })));
  }
}

/** One thread, so that row groups are cut alike every time. */
async function toParquet(csv: string, parquet: string, mark: object): Promise<void> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', memory_limit: '512MB' });
  const connection = await instance.connect();
  try {
    await connection.run(`COPY (
        SELECT * FROM read_csv(${sqlPath(csv)}, auto_detect = false, header = true, delim = ',', quote = '"', escape = '"',
          columns = {user_id: 'VARCHAR', item_id: 'VARCHAR', value: 'DOUBLE', timestamp: 'BIGINT'})
      ) TO ${sqlText(parquet)} (FORMAT parquet, COMPRESSION zstd, KV_METADATA {'${SYNTHETIC_KEY}': ${sqlText(JSON.stringify(mark))}})`);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
