// Deliveries without masks, in memory and on disk: the same sums from both, whoever delivers first.

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UploadSpool } from '../../../coordinator/federation/upload-spool.js';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'stoa-spool-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const LENGTH = 1000;
const PARTICIPANTS = ['ada', 'bea', 'cyd'];
/** Sums of these depend on their order. */
const NUMBERS = PARTICIPANTS.map((_, who) =>
  Float64Array.from({ length: LENGTH }, (_, n) => Math.sin(7 * n + who) * 10 ** (5 * who)),
);

async function deliver(spool: UploadSpool, who: number, numberBytes: 4 | 8): Promise<void> {
  const upload = await spool.begin(PARTICIPANTS[who]!);
  const numbers = numberBytes === 4 ? new Float32Array(NUMBERS[who]!) : NUMBERS[who]!;
  const bytes = new Uint8Array(numbers.buffer);
  // Pieces that do not end where the sums are read, at addresses that no number may have.
  for (let at = 0; at < bytes.length; at += 8 * 77) {
    const piece = bytes.subarray(at, at + 8 * 77);
    const shifted = new Uint8Array(piece.length + 1).subarray(1);
    shifted.set(piece);
    await upload.take(shifted);
  }
  expect(upload.isWhole).toBe(true);
  upload.keep();
}

describe.each([4, 8] as const)('deliveries of numbers of %i bytes', (numberBytes) => {
  const options = { length: LENGTH, numberBytes, deliveries: 3 };
  const rounded = (value: number) => (numberBytes === 4 ? Math.fround(value) : value);

  it.each([
    ['memory', Number.POSITIVE_INFINITY, [2, 0, 1]],
    ['disk', 0, [1, 2, 0]],
  ] as const)('are summed in the order of participants from %s', async (where, memoryBytesMax, arrival) => {
    const folder = path.join(dir, `${where}-${numberBytes}`);
    const spool = new UploadSpool(folder, options, memoryBytesMax);
    for (const who of arrival) await deliver(spool, who, numberBytes);
    const files = await readdir(folder).catch(() => []);
    expect(files.length).toBe(where === 'disk' ? 3 : 0);
    const sum: number[] = [];
    for (const count of [300, 1, 699]) sum.push(...(await spool.next(count, PARTICIPANTS)));
    const expected = NUMBERS[0]!.map(
      (value, n) => rounded(value) + rounded(NUMBERS[1]![n]!) + rounded(NUMBERS[2]![n]!),
    );
    expect(sum).toEqual([...expected]);
    await spool.discard();
    await expect(readdir(folder)).rejects.toThrow('ENOENT');
  });

  it('are refused when they are longer than due or not whole numbers', async () => {
    const upload = await new UploadSpool(path.join(dir, 'refused'), options).begin('ada');
    await expect(upload.take(new Uint8Array(numberBytes * LENGTH + numberBytes))).rejects.toThrow('no piece');
    await expect(upload.take(new Uint8Array(numberBytes + 1))).rejects.toThrow('no piece');
    expect(upload.isWhole).toBe(false);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'are refused with %f among them',
    async (bad) => {
      const upload = await new UploadSpool(path.join(dir, 'refused'), options).begin('ada');
      const numbers = numberBytes === 4 ? new Float32Array(9) : new Float64Array(9);
      numbers[4] = bad;
      await expect(upload.take(new Uint8Array(numbers.buffer))).rejects.toThrow('not finite');
    },
  );
});
