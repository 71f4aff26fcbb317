// Imports small files of every format and compares the dataset with what was written, cell by cell.

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, it } from 'vitest';
import { importInteractions } from '../../datasets/import/import-interactions.js';
import { contentsOf, scratchFolder } from './scratch.js';

const scratch = await scratchFolder();

const EXPECTED = {
  ann: { go: [2, 10], knots: [0.5, 20] },
  bob: { go: [3, 30] },
};

describe('formats', () => {
  const csv = 'user_id,item_id,value,time\nann,knots,0.5,20\nbob,go,3,30\nann,go,2,10\n';
  const lines = [
    { user_id: 'ann', item_id: 'knots', value: 0.5, time: 20 },
    { user_id: 'bob', item_id: 'go', value: 3, time: 30 },
    { user_id: 'ann', item_id: 'go', value: '2', time: 10 },
  ].map((row) => JSON.stringify(row));

  it.each([
    ['CSV', 'a.csv', csv],
    ['CSV with semicolons', 'semi.csv', csv.replaceAll(',', ';')],
    ['CSV with CRLF', 'crlf.csv', csv.replaceAll('\n', '\r\n')],
    ['CSV without a last line end', 'noend.csv', csv.trimEnd()],
    ['CSV with a byte order mark', 'bom.csv', `\ufeff${csv}`],
    ['CSV with blank lines', 'blank.csv', csv.replaceAll('\n', '\n\n')],
    ['CSV with quoted fields', 'quoted.csv', csv.replaceAll(/[a-z_]+/g, '"$&"')],
    ['TSV', 'a.tsv', csv.replaceAll(',', '\t')],
    ['tab-separated .txt', 'a.txt', csv.replaceAll(',', '\t')],
    ['JSON Lines', 'a.jsonl', `${lines.join('\n')}\n`],
    ['JSON Lines with CRLF and blank lines', 'b.ndjson', `${lines.join('\r\n\r\n')}\r\n`],
    ['CSV, compressed', 'a.csv.gz', gzipSync(csv)],
    ['TSV, compressed', 'a.tsv.gz', gzipSync(csv.replaceAll(',', '\t'))],
    ['JSON Lines, compressed', 'a.jsonl.gz', gzipSync(lines.join('\n'))],
  ])('%s is read', async (_, name, content) => {
    const dataset = await scratch.import(await scratch.file(name, content));
    expect(await contentsOf(dataset)).toEqual(EXPECTED);
  });

  it('Parquet is read, whatever types its columns have', async () => {
    const file = scratch.path('a.parquet');
    await duckdb(`COPY (SELECT * FROM (VALUES
        (1, 'x', 0.5::FLOAT, TIMESTAMP '2024-01-02 03:04:05'), (2, 'y', 3, TIMESTAMP '1969-12-31 23:59:59.5'))
        t(user_id, item_id, value, time)) TO '${file}' (FORMAT parquet)`);
    const dataset = await scratch.import(file);
    expect(dataset.manifest.timeKind).toBe('timestamp');
    expect(await contentsOf(dataset)).toEqual({
      1: { x: [0.5, Date.UTC(2024, 0, 2, 3, 4, 5)] },
      2: { y: [3, -500] },
    });
  });

  it('several files are read in the order of their names', async () => {
    await mkdir(scratch.path('parts'));
    const part = (name: string, text: string) =>
      writeFile(scratch.path(`parts/${name}`), `user_id,item_id,value\n${text}`);
    await part('b.csv', 'ann,go,2\n');
    await part('a.csv', 'ann,go,1\nbob,go,5\n');
    await part('c.csv', 'ann,go,3\n');
    for (const files of [
      scratch.path('parts'),
      scratch.path('parts/*.csv'),
      scratch.path('par*/[abc].csv'),
    ]) {
      const dataset = await scratch.import(files, { merge: 'last' });
      expect(await contentsOf(dataset)).toEqual({ ann: { go: [3] }, bob: { go: [5] } });
      expect(dataset.manifest.source.files.map(({ name }) => path.basename(name))).toEqual([
        'a.csv',
        'b.csv',
        'c.csv',
      ]);
    }
  });

  it('partitioned folders give their values as columns, and markers in them are passed over', async () => {
    const folder = scratch.path('hive');
    await duckdb(`COPY (SELECT * FROM (VALUES ('ann', 'go', 1), ('ann', 'ça va/là', 2), ('bob', 'go', 3))
        t(user_id, item_id, value)) TO '${folder}' (FORMAT parquet, PARTITION_BY (item_id))`);
    await writeFile(path.join(folder, '_SUCCESS'), '');
    expect(await contentsOf(await scratch.import(folder))).toEqual({
      ann: { go: [1], 'ça va/là': [2] },
      bob: { go: [3] },
    });
  });

  it('a name with the letters of globs is the file of that name', async () => {
    await scratch.file('x1.csv', 'user_id,item_id\nwrong,wrong\n');
    const file = await scratch.file("x[1]*'q.csv", 'user_id,item_id\nann,go\n');
    expect(await contentsOf(await scratch.import(file))).toEqual({ ann: { go: [1] } });
  });
});

describe('ids', () => {
  const AWKWARD = [
    '007',
    '7',
    '+7',
    ' 7',
    '1e3',
    'course-v1:A+B/2015_T2',
    'a,b',
    'say "x"',
    "it's",
    'näïve',
    '数学',
    '😀',
    'ﬀ',
    'NULL',
    'nan',
    '-',
    'a\tb',
    'x'.repeat(256),
    '12345678901234567890123',
    'line\nbreak',
    'twelve bytes',
    'thirteen byte',
  ];

  it('are kept exactly and sorted by their bytes', async () => {
    const quote = (id: string) => `"${id.replaceAll('"', '""')}"`;
    const csv = `user_id,item_id\n${AWKWARD.map((id) => `${quote(id)},${quote(`i-${id}`.slice(0, 256))}`).join('\n')}\n`;
    const dataset = await scratch.import(await scratch.file('ids.csv', csv));
    const sorted = [...AWKWARD].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(await dataset.userIds()).toEqual(sorted);
    for (const [user, items] of Object.entries(await contentsOf(dataset))) {
      expect(Object.keys(items)).toEqual([`i-${user}`.slice(0, 256)]);
    }
  });

  it('are kept exactly in JSON Lines', async () => {
    const lines = AWKWARD.map((id) => JSON.stringify({ user_id: id, item_id: 'i' })).join('\n');
    const dataset = await scratch.import(await scratch.file('ids.jsonl', lines));
    expect((await dataset.userIds()).toSorted()).toEqual(AWKWARD.toSorted());
  });

  it('that are numbers become their shortest text', async () => {
    const lines =
      '{"user_id":17,"item_id":17.0}\n{"user_id":"17","item_id":0.5}\n{"user_id":12345678901234567890123,"item_id":"0.50"}\n';
    const json = await scratch.import(await scratch.file('numbers.jsonl', lines));
    expect(await contentsOf(json)).toEqual({
      17: { 17: [1], 0.5: [1] },
      '12345678901234567890123': { '0.50': [1] },
    });
    const file = scratch.path('numbers.parquet');
    await duckdb(
      `COPY (SELECT * FROM (VALUES (17::DOUBLE, 9007199254740993::BIGINT), (0.5, 1)) t(user_id, item_id)) TO '${file}' (FORMAT parquet)`,
    );
    const parquet = await scratch.import(file);
    expect(await contentsOf(parquet)).toEqual({ 0.5: { 1: [1] }, 17: { '9007199254740993': [1] } });
  });
});

describe('columns', () => {
  it('well-known names are found whatever their case and punctuation, and what was taken is reported', async () => {
    const file = await scratch.file(
      'known.csv',
      'Rating,Course ID,x,userId,created_at\n4,c,1,u,2024-05-06\n',
    );
    const report = await importInteractions({ files: [file], out: scratch.freshOut() });
    expect(report.columns).toEqual({
      user: 'userId',
      item: 'Course ID',
      value: 'Rating',
      time: 'created_at',
    });
    expect(report.timeKind).toBe('timestamp');
  });

  it('flags go before well-known names', async () => {
    const file = await scratch.file('flags.csv', 'user_id,item_id,who,what\nu,i,w,x\n');
    const dataset = await scratch.import(file, { userCol: 'who', itemCol: 'what' });
    expect(await contentsOf(dataset)).toEqual({ w: { x: [1] } });
  });

  it('a header that repeats a name means the first of them', async () => {
    const file = await scratch.file('twice.csv', 'user_id,item_id,item_id\nu,first,second\n');
    expect(await contentsOf(await scratch.import(file))).toEqual({ u: { first: [1] } });
  });

  it('ISO dates count milliseconds, with their offset, and without one in UTC', async () => {
    const rows = ['2024-05-06', '2024-05-06T07:08:09Z', '2024-05-06T07:08:09.250+02:00', '2024-05-06 07:08'];
    const csv = `user_id,item_id,time\n${rows.map((time, n) => `u,i${n},${time}`).join('\n')}\n`;
    const dataset = await scratch.import(await scratch.file('iso.csv', csv));
    const { u } = await contentsOf(dataset);
    expect(Object.values(u!).map(([, time]) => time)).toEqual(
      ['2024-05-06T00:00Z', '2024-05-06T07:08:09Z', '2024-05-06T05:08:09.250Z', '2024-05-06T07:08Z'].map(
        (iso) => Date.parse(iso),
      ),
    );
  });
});

async function duckdb(sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(sql);
  connection.closeSync();
  instance.closeSync();
}
