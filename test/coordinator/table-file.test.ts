// Tables on disk that are written and read in pieces: rows do not end where pieces do.

import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createRandom } from '../../common/random.js';
import { arraySource, type RowSource } from '../../coordinator/parameters/row-source.js';
import { readTable, tableSource, writeTable } from '../../coordinator/training/table-file.js';
import { temporaryFolder } from '../support/small-data.js';

const FACTORS = 7;
/** Two pieces of 4 MiB and a bit: neither a whole number of rows. */
const ROWS = 310_001;

let folder: string;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ folder, remove } = await temporaryFolder());
});

afterEach(() => remove());

it('a table is the same file whatever pieces its rows come in, and is read back in whole rows', async () => {
  const random = createRandom(1, 2);
  const rows = Float32Array.from({ length: ROWS * FACTORS }, () => random.next());
  const gram = Float64Array.of(1, 2, 3);
  const [whole, cut] = [path.join(folder, 'whole'), path.join(folder, 'cut')];
  const facts = await writeTable(whole, arraySource(rows, FACTORS), gram);
  expect(await writeTable(cut, inPieces(rows, 1000), gram)).toEqual(facts);
  const back = new Float32Array(rows.length);
  await readTable(cut, facts, back, new Float64Array(3));
  expect(Buffer.compare(Buffer.from(back.buffer), Buffer.from(rows.buffer))).toBe(0);
  let row = 0;
  for await (const piece of tableSource(whole, { ...facts, rows: ROWS }, FACTORS).read()) {
    expect(piece.length % FACTORS).toBe(0);
    const expected = rows.subarray(row * FACTORS, row * FACTORS + piece.length);
    expect(Buffer.compare(Buffer.from(piece.buffer), Buffer.from(expected.slice().buffer))).toBe(0);
    row += piece.length / FACTORS;
  }
  expect(row).toBe(ROWS);
});

function inPieces(rows: Float32Array, count: number): RowSource {
  return {
    byteLength: rows.byteLength,
    factors: FACTORS,
    read: async function* () {
      for (let row = 0; row < ROWS; row += count) yield rows.subarray(row * FACTORS, (row + count) * FACTORS);
    },
  };
}
