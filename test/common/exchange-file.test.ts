// Files in memory that hand rows over: found by name alone, gone with their users, never taken from elsewhere.

import { existsSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ExchangeFile } from '../../common/exchange-file.js';
import { createRandom } from '../../common/random.js';
import { RowExchange } from '../../common/row-exchange.js';

const folder = `/dev/shm/stoa-${process.getuid?.()}`;
const isThere = existsSync('/dev/shm');

describe.skipIf(!isThere)(`an exchange file${isThere ? '' : ' (skipped: no /dev/shm here)'}`, () => {
  const files: ExchangeFile[] = [];
  const create = (): ExchangeFile => {
    const file = ExchangeFile.create()!;
    files.push(file);
    return file;
  };
  const open = (name: string): ExchangeFile | undefined => {
    const file = ExchangeFile.open(name);
    if (file !== undefined) files.push(file);
    return file;
  };

  afterEach(() => {
    for (const file of files.splice(0)) {
      file.unlink();
      file.close();
    }
  });

  it('carries bytes both ways, also when its name is gone', () => {
    const ours = create();
    const theirs = open(ours.name)!;
    ours.unlink();
    expect(readdirSync(folder)).not.toContain(ours.name);
    expect(open(ours.name)).toBeUndefined();
    const bytes = Uint8Array.from({ length: 70_001 }, (_, n) => (n * 31) % 251);
    const found = new Uint8Array(bytes.length);
    expect(ours.write(12_345, bytes)).toBe(true);
    theirs.read(12_345, found);
    expect(found).toEqual(bytes);
    expect(theirs.write(0, bytes.subarray(7))).toBe(true);
    ours.read(0, found.subarray(7));
    expect(found.subarray(7)).toEqual(bytes.subarray(7));
  });

  it.each(['', '..', '../stoa-0', '/etc/passwd', 'a'.repeat(31), 'A'.repeat(32), `${'0'.repeat(31)}/`])(
    'is not looked for under the name "%s"',
    (name) => {
      expect(ExchangeFile.open(name)).toBeUndefined();
    },
  );

  it('is not what another file of such a name is, nor what a link leads to', () => {
    const file = create();
    const other = 'ab'.repeat(16);
    const link = 'cd'.repeat(16);
    writeFileSync(path.join(folder, other), `stoa exchange 1 ${file.name}\n`, { mode: 0o600 });
    symlinkSync(path.join(folder, file.name), path.join(folder, link));
    expect(open(other)).toBeUndefined();
    expect(open(link)).toBeUndefined();
    expect(open(file.name)).toBeDefined();
    for (const name of [other, link]) rmSync(path.join(folder, name));
  });

  it('that was cut short is an error, not a crash', () => {
    const ours = create();
    const theirs = open(ours.name)!;
    ours.write(0, new Uint8Array(10_000));
    truncateSync(path.join(folder, ours.name), 8000);
    expect(() => theirs.read(0, new Uint8Array(10_000))).toThrow(
      expect.objectContaining({ code: 'STOA_CHECKSUM' }),
    );
  });

  it('that is closed takes nothing and gives nothing, whatever else has its descriptor by then', () => {
    const ours = create();
    ours.write(0, new Uint8Array(10));
    ours.close();
    ours.close();
    const reused = create();
    expect(ours.write(0, Uint8Array.of(1))).toBe(false);
    expect(() => ours.read(0, new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'STOA_CHECKSUM' }));
    reused.write(0, Uint8Array.of(5));
    const found = new Uint8Array(1);
    reused.read(0, found);
    expect(found[0]).toBe(5);
  });

  it('has a place for every row of both sides, up and down', () => {
    const shape = { users: 7, items: 5, factors: 3 };
    const ours = new RowExchange(create(), shape);
    const random = createRandom(1, 2);
    const places = (['up', 'down'] as const).flatMap((way) =>
      (['users', 'items'] as const).flatMap((side) =>
        Array.from({ length: shape[side] }, (_, row) => ({
          way,
          side,
          row,
          value: Float32Array.from({ length: 3 }, () => random.normal()),
        })),
      ),
    );
    for (const { way, side, row, value } of places) expect(ours.write(way, side, row, value)).toBe(true);
    for (const { way, side, row, value } of places) {
      const found = new Float32Array(3);
      ours.read(way, side, row, found);
      expect(found).toEqual(value);
    }
  });
});
