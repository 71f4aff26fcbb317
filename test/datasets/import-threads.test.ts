// An import large enough for threads gives the same bytes as one in a single thread, whatever is in it.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../datasets/dataset.js';
import { IdEncoder } from '../../datasets/import/id-encoder.js';
import { importInteractions } from '../../datasets/import/import-interactions.js';
import { scratchFolder } from './scratch.js';

const scratch = await scratchFolder();
const ROWS = 620_000;

/** Short ids, and from the middle on a few that no sample has seen: long ones, long beyond any key, bad rows. */
function rowOf(n: number): string {
  const user =
    n > ROWS / 2 && n % 1000 === 0
      ? `${'long-user-id-'.repeat(1 + (n % 7))}${n % 19}`
      : `u${(n * 7919) % 40_009}`;
  const item =
    n > ROWS / 2 && n % 777 === 0
      ? `an item of more than twelve bytes, ${n % 5}`.replace(',', ';')
      : `i${(n * n) % 997}`;
  const value = n % 200_003 === 7 ? 'x' : n % 200_003 === 8 ? '-1' : String(n % 13);
  const time = n < 400_000 ? n : n + 0.5;
  return `${user},${item},${value},${time}\n`;
}

const text = Array.from({ length: ROWS }, (_, n) => rowOf(n)).join('');
const file = await scratch.file('large.csv', `user_id,item_id,value,time\n${text}`);

describe('an import with threads', () => {
  it('is byte for byte that of a single thread, and sums what the file says', async () => {
    const reports = [];
    for (const threads of [1, 3])
      reports.push(await importInteractions({ files: [file], out: scratch.freshOut(), threads }));
    const [one, three] = reports as [(typeof reports)[0], (typeof reports)[0]];
    expect(three.fingerprint).toBe(one.fingerprint);
    expect(
      readFileSync(path.join(three.out, 'by-item/0005.arrow')).equals(
        readFileSync(path.join(one.out, 'by-item/0005.arrow')),
      ),
    ).toBe(true);
    expect(readFileSync(three.rejectsFile!, 'utf8').replaceAll(three.out, '')).toBe(
      readFileSync(one.rejectsFile!, 'utf8').replaceAll(one.out, ''),
    );

    const sums = new Map<string, number>();
    let total = 0;
    for (const line of text.trimEnd().split('\n')) {
      const [user, item, value] = line.split(',') as [string, string, string];
      if (!(Number(value) >= 0)) continue;
      sums.set(`${user},${item}`, (sums.get(`${user},${item}`) ?? 0) + Number(value));
      total += Number(value);
    }
    const dataset = await openDataset(three.out, { verify: 'all' });
    const [csr, userIds, itemIds] = [
      await dataset.loadCsr('users'),
      await dataset.userIds(),
      await dataset.itemIds(),
    ];
    expect(csr.idx).toHaveLength(sums.size);
    let [found, wrong] = [0, 0];
    for (let u = 0; u < csr.rows; u++) {
      for (let k = csr.ptr[u]!; k < csr.ptr[u + 1]!; k++) {
        found += csr.values![k]!;
        if (sums.get(`${userIds[u]},${itemIds[csr.idx[k]!]}`) !== csr.values![k]) wrong++;
      }
    }
    expect([found, wrong]).toEqual([total, 0]);
    expect(three).toMatchObject({ rowsRead: ROWS, rowsRejected: 8 });
    expect(dataset.manifest.timeRange).toEqual([0, ROWS - 0.5]);
  });

  it('fails as one without: the error of the file, not of a thread', async () => {
    const cut = await scratch.file(
      'broken.csv',
      `user_id,item_id,value,time\n${text.replaceAll(',i1', ',')}`,
    );
    const call = importInteractions({ files: [cut], out: scratch.freshOut(), threads: 2, maxBad: 0 });
    await expect(call).rejects.toMatchObject({ code: 'STOA_DATA_ROWS' });
  });
});

describe('numbering ids', () => {
  /** Strings as DuckDB lays them out, in `pieces` columns of 12 bytes besides the id's own. */
  function columnsOf(ids: string[], pieces: number): Int32Array[] {
    const columns = Array.from({ length: 1 + pieces }, () => new Int32Array(ids.length * 4));
    ids.forEach((id, row) => {
      const bytes = Buffer.from(id);
      const put = (column: Int32Array, part: Buffer, length: number) => {
        column[row * 4] = length;
        Buffer.from(column.buffer, row * 16 + 4, 12).set(part);
      };
      // A long string has four bytes and a pointer there, which must not be taken for text.
      put(
        columns[0]!,
        bytes.length <= 12 ? bytes : Buffer.from(`${id.slice(0, 2)}P${row}`).subarray(0, 12),
        bytes.length,
      );
      for (let piece = 0; piece < pieces; piece++) {
        const part = bytes.subarray(piece * 12, piece * 12 + 12);
        put(columns[1 + piece]!, part, part.length);
      }
    });
    return columns;
  }

  it.each([0, 2, 4])('gives each id one number in order of first sight, with keys of %d pieces', (pieces) => {
    const ids = Array.from({ length: 30_000 }, (_, n) => {
      const key = (n * 7919) % 6007;
      return key % 3 === 0
        ? `k${key}`
        : key % 3 === 1
          ? `${'é'.repeat(key % 9)}-${key}`
          : `a-rather-long-id-${'x'.repeat(key % 40)}${key}`;
    });
    const encoder = new IdEncoder(pieces);
    const out = new Int32Array(ids.length);
    for (let from = 0; from < ids.length; from += 2048) {
      const part = ids.slice(from, from + 2048);
      encoder.encode(columnsOf(part, pieces), part.length, out, from, (row) => part[row]!);
    }
    const expected = new Map<string, number>();
    for (const id of ids) if (!expected.has(id)) expected.set(id, expected.size);
    expect([...out]).toEqual(ids.map((id) => expected.get(id)));
    expect(encoder.texts()).toEqual([...expected.keys()]);
  });
});
