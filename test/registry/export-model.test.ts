// Shows that other programs read what is exported. The readers here are written against the formats' documents,
// apart from the writers; numpy itself reads the same files in test/process/python-client.test.ts.

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DuckDBInstance, type DuckDBListValue } from '@duckdb/node-api';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ExportFormat, exportModel, idsCsv } from '../../coordinator/registry/export-model.js';
import { writeModel } from '../../coordinator/registry/model-folder.js';
import { readSafetensors } from '../../coordinator/registry/safetensors.js';
import { smallModel } from '../support/small-model.js';

const contents = smallModel({ users: 23, items: 31, factors: 3 });
let root: string;
let model: string;

beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'stoa-'));
  model = path.join(root, 'model');
  await writeModel(model, contents);
});

afterAll(() => rm(root, { recursive: true }));

/** RFC 4180 by a state machine; the writer uses expressions. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = '';
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (isQuoted) {
      if (char !== '"') cell += char;
      else if (text[at + 1] === '"') {
        cell += '"';
        at++;
      } else isQuoted = false;
    } else if (char === '"') isQuoted = true;
    else if (char === ',' || char === '\n') {
      row.push(cell);
      cell = '';
      if (char === '\n') {
        rows.push(row);
        row = [];
      }
    } else cell += char;
  }
  expect([isQuoted, row, cell]).toEqual([false, [], '']);
  return rows;
}

describe('exportModel', () => {
  it('writes .npy files that begin as the format says and hold the factors', async () => {
    const out = path.join(root, 'npy');
    const report = await exportModel(model, 'npy', out);
    expect((await readdir(out)).sort()).toEqual([...report.files].sort());
    const bytes = await readFile(path.join(out, 'item_factors.npy'));
    expect(bytes.subarray(0, 8)).toEqual(Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]));
    const headerBytes = bytes.readUInt16LE(8);
    expect((10 + headerBytes) % 64).toBe(0);
    expect(bytes.toString('latin1', 10, 10 + headerBytes)).toMatch(
      /^\{'descr': '<f4', 'fortran_order': False, 'shape': \(31, 3\), \} *\n$/,
    );
    const values = Array.from(contents.itemFactors, (_, at) => bytes.readFloatLE(10 + headerBytes + 4 * at));
    expect(values).toEqual([...contents.itemFactors]);
    expect(bytes.length).toBe(10 + headerBytes + 31 * 3 * 4);
  });

  it('writes ids exactly, also those that look like formulas', async () => {
    const out = path.join(root, 'ids');
    await exportModel(model, 'npy', out);
    const [header, ...rows] = parseCsv(await readFile(path.join(out, 'items.csv'), 'utf8'));
    expect(header).toEqual(['row', 'id']);
    expect(rows).toEqual(contents.items.ids.map((id, row) => [String(row), id]));
    expect(contents.items.ids).toContain('=1+1');
  });

  it('writes safetensors with both tables', async () => {
    const out = path.join(root, 'safetensors');
    await exportModel(model, 'safetensors', out);
    const tensors = await readSafetensors(path.join(out, 'factors.safetensors'));
    expect(tensors.get('user_factors')).toEqual({ shape: [23, 3], data: contents.userFactors });
    expect(tensors.get('item_factors')).toEqual({ shape: [31, 3], data: contents.itemFactors });
  });

  it('writes Parquet with row, id and a list of factors', async () => {
    const out = path.join(root, 'parquet');
    await exportModel(model, 'parquet', out);
    const connection = await (await DuckDBInstance.create(':memory:')).connect();
    const reader = await connection.runAndReadAll(
      `SELECT * FROM read_parquet('${out}/users.parquet') ORDER BY row`,
    );
    expect(reader.columnNames()).toEqual(['row', 'id', 'factors']);
    const [rows, ids, factors] = reader.getColumns();
    expect(rows).toEqual(contents.userIds.map((_, row) => row));
    expect(ids).toEqual(contents.userIds);
    expect((factors as DuckDBListValue[]).flatMap(({ items }) => items)).toEqual([...contents.userFactors]);
    connection.closeSync();
  });

  it('refuses a folder that is not empty and leaves it alone', async () => {
    const out = path.join(root, 'taken');
    await mkdir(out);
    await writeFile(path.join(out, 'mine.txt'), 'mine');
    await expect(exportModel(model, 'npy', out)).rejects.toMatchObject({ code: 'STOA_EXISTS', exitCode: 2 });
    expect(await readdir(out)).toEqual(['mine.txt']);
  });

  it('refuses an unknown format and names the nearest', async () => {
    await expect(exportModel(model, 'parqet' as ExportFormat, path.join(root, 'x'))).rejects.toThrow(
      'did you mean "parquet"',
    );
  });
});

describe('idsCsv', () => {
  it('comes back exactly for any text', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1 }), (ids) => {
        expect(parseCsv(idsCsv(ids)).slice(1)).toEqual(ids.map((id, row) => [String(row), id]));
      }),
    );
  });
});
