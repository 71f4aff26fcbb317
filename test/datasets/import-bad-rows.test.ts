// Bad rows: counted, found with their line, listed in the rejects file, and too many of them stop the import.

import { existsSync, readFileSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../datasets/dataset.js';
import { type ImportOptions, importInteractions } from '../../datasets/import/import-interactions.js';
import { contentsOf, failureOf, scratchFolder } from './scratch.js';

const scratch = await scratchFolder();

/** Imports with all bad rows allowed and answers the rejects file's rows. */
async function rejectsOf(file: string, options: Partial<ImportOptions> = {}) {
  const out = scratch.freshOut();
  const report = await importInteractions({ files: [file], out, maxBad: 1, ...options });
  const rows = readFileSync(report.rejectsFile!, 'utf8').trimEnd().split('\n');
  return { report, rows: rows.slice(1), header: rows[0] };
}

const GOOD = 'ann,go,1,5\n';

describe('the rejects file', () => {
  it.each([
    ['a row with too few fields', 'bob,go\n', '2 fields instead of 4'],
    ['a row with too many fields', 'bob,go,1,5,9\n', '5 fields instead of 4'],
    ['a value that is no number', 'bob,go,abc,5\n', 'value ""abc"" is not a number'],
    ['a value that is missing', 'bob,go,,5\n', 'value is empty'],
    ['NaN', 'bob,go,NaN,5\n', 'value ""NaN"" is not a number'],
    ['an infinite value', 'bob,go,1e999,5\n', 'value ""1e999"" is'],
    ['a value beyond f32', 'bob,go,1e39,5\n', 'value ""1e39"" is infinite or beyond 3.4e38'],
    ['a negative value', 'bob,go,-0.5,5\n', 'value ""-0.5"" is negative'],
    ['an empty user', ',go,1,5\n', 'user id is empty'],
    ['an empty item', 'bob,"",1,5\n', 'item id is empty'],
    ['an id over 256 bytes', `${'ä'.repeat(129)},go,1,5\n`, 'user id is longer than 256 bytes'],
    ['a time that is no number', 'bob,go,1,soon\n', 'time ""soon"" is not a number'],
    ['a time that is missing', 'bob,go,1,\n', 'time is empty'],
    ['letters after a closing quote', '"bob"x,go,1,5\n', 'a quote that is not closed, or letters after it'],
  ])('has %s, with its line and why', async (_, bad, reason) => {
    const file = await scratch.file(
      'bad.csv',
      `user_id,item_id,value,time\n${GOOD}"b\nc",go,2,5\n${bad}${GOOD}`,
    );
    const { report, rows, header } = await rejectsOf(file);
    expect(header).toBe('file,line,reason,row');
    expect(report).toMatchObject({ rowsRead: 4, rowsRejected: 1, interactions: 2 });
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatch(/^bad\.csv,5,/);
    expect(rows[0]).toContain(reason);
  });

  it('has rows that are not UTF-8', async () => {
    const text = Buffer.from(`user_id,item_id,value,time\n${GOOD}ren\xe9,go,1,5\n${GOOD}`, 'latin1');
    const { rows } = await rejectsOf(await scratch.file('latin.csv', text));
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatch(/^latin\.csv,3,not UTF-8,/);
  });

  it('has lines of JSON Lines that are no objects or lack something', async () => {
    const lines = [
      '{"user_id":"ann","item_id":"go"}',
      '{"user_id":"ann",',
      '',
      '[1]',
      '{"user_id":["x"],"item_id":"go"}',
      '{"user_id":"ann"}',
      '{"user_id":true,"item_id":"go"}',
    ];
    const { rows } = await rejectsOf(await scratch.file('bad.jsonl', lines.join('\n')));
    expect(rows.map((row) => row.split(',').slice(0, 3).join(' '))).toEqual([
      'bad.jsonl 2 not a JSON object',
      'bad.jsonl 4 not a JSON object',
      expect.stringMatching(/^bad\.jsonl 5 "user id .* is not text or a number/),
      'bad.jsonl 6 item id is empty',
      'bad.jsonl 7 "user id ""true"" is not text or a number"',
    ]);
  });

  it('has row numbers of Parquet', async () => {
    const file = scratch.path('bad.parquet');
    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    await connection.run(`COPY (SELECT * FROM (VALUES ('a', 'x', 1.0), (NULL, 'x', 1), ('b', 'x', -1), ('c', 'x', 'nan'::DOUBLE))
      t(user_id, item_id, value)) TO '${file}' (FORMAT parquet)`);
    connection.closeSync();
    instance.closeSync();
    const { rows } = await rejectsOf(file);
    expect(rows).toEqual([
      'bad.parquet,2,user id is empty,',
      'bad.parquet,3,value is negative,',
      'bad.parquet,4,value is not a number,',
    ]);
  });

  it('finds the lines in a long compressed file that is read in pieces', async () => {
    const lines = Array.from({ length: 300_000 }, (_, n) => `u${n % 997},i${n % 31},${n % 5}`);
    lines[123_456] = 'u1,i1,-1';
    lines[199_999] = 'u1';
    lines[299_998] = 'u1,,1';
    const file = await scratch.file(
      'long.csv.gz',
      gzipSync(`user_id,item_id,value\n${lines.join('\n')}\n`, { level: 1 }),
    );
    const { report, rows } = await rejectsOf(file);
    expect(report).toMatchObject({ rowsRead: 300_000, rowsRejected: 3, interactions: 997 * 31 });
    expect(rows.map((row) => row.split(',')[1])).toEqual(['123458', '200001', '300000']);
  });

  it('does not overwrite a file that is something else', async () => {
    const file = await scratch.file('few.csv', `user_id,item_id\nann,go\nbob\n`);
    const out = scratch.freshOut();
    await writeFile(`${out}.rejects.csv`, 'my own file');
    const report = await importInteractions({ files: [file], out, maxBad: 1 });
    expect(report.rejectsFile).toBe(`${out}.rejects-2.csv`);
    expect(readFileSync(`${out}.rejects.csv`, 'utf8')).toBe('my own file');
  });

  it('is not there when all rows are good', async () => {
    const out = scratch.freshOut();
    const file = await scratch.file('good.csv', `user_id,item_id\nann,go\n`);
    expect(await importInteractions({ files: [file], out })).toMatchObject({
      rowsRejected: 0,
      rejectsFile: undefined,
    });
    expect(existsSync(`${out}.rejects.csv`)).toBe(false);
  });
});

describe('the share of bad rows', () => {
  const rows = Array.from({ length: 98 }, (_, n) => `u${n},go,1\n`).join('');

  it('up to --max-bad is let pass, and good rows of ids that only bad rows have are no users', async () => {
    const file = await scratch.file('two.csv', `user_id,item_id,value\n${rows}ghost,go,-1\nghost,go,x\n`);
    const out = scratch.freshOut();
    await importInteractions({ files: [file], out, maxBad: 0.02 });
    const dataset = await openDataset(out);
    expect(Object.keys(await contentsOf(dataset))).toHaveLength(98);
    expect(dataset.manifest.source).toMatchObject({ rowsRead: 100, rowsRejected: 2 });
  });

  it('above --max-bad stops the import: the message says how many, where and why, and nothing is at OUT', async () => {
    const file = await scratch.file('three.csv', `user_id,item_id,value\n${rows}ghost,go,-1\nghost,go,x\n`);
    const out = scratch.freshOut();
    const error = await failureOf(importInteractions({ files: [file], out, maxBad: 0.019 }));
    expect(error).toMatchObject({ name: 'DataError', code: 'STOA_DATA_ROWS', exitCode: 2 });
    expect(error.message).toBe(
      `2 of 100 rows are bad (2 %), more than --max-bad 1.9 %: three.csv line 100: value "-1" is negative; ` +
        `three.csv line 101: value "x" is not a number. Nothing was written to ${out}; the bad rows are in ` +
        `${out}.rejects.csv; correct them, or allow more with --max-bad`,
    );
    const left = (await readdir(scratch.folder)).filter((name) =>
      name.includes(out.slice(out.lastIndexOf('/') + 1)),
    );
    expect(left).toEqual([`${out.slice(out.lastIndexOf('/') + 1)}.rejects.csv`]);
  });

  it('of text in another encoding says so', async () => {
    const text = `user_id,item_id\n${Array.from({ length: 50 }, (_, n) => `né${n},go\n`).join('')}`;
    const file = await scratch.file('latin1.csv', Buffer.from(text, 'latin1'));
    const error = await failureOf(importInteractions({ files: [file], out: scratch.freshOut() }));
    expect(error.code).toBe('STOA_DATA_ENCODING');
    expect(error.message).toMatch(/50 of 50 rows are bad \(100 %\): latin1\.csv line 2: not UTF-8;.*iconv/);
  });
});
