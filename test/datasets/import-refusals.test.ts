// Input that cannot be imported as a whole: each message is read, and nothing may be left behind.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type ImportOptions, importInteractions } from '../../datasets/import/import-interactions.js';
import { failureOf, scratchFolder } from './scratch.js';

const scratch = await scratchFolder();
const GOOD = 'user_id,item_id\nann,go\n';

/** The error of an import that must leave nothing but the input. */
async function refusal(files: string | string[], options: Partial<ImportOptions> = {}) {
  const before = readdirSync(scratch.folder, { recursive: true });
  const error = await failureOf(
    importInteractions({ files: [files].flat(), out: scratch.freshOut(), ...options }),
  );
  expect(readdirSync(scratch.folder, { recursive: true })).toEqual(before);
  return error;
}

describe('refused, with nothing left behind:', () => {
  it('a file that is not there', async () => {
    const error = await refusal(scratch.path('nowhere.csv'));
    expect(error).toMatchObject({ name: 'NotFoundError', code: 'STOA_NOT_FOUND_FILE', exitCode: 2 });
    expect(error.message).toBe(`no file or folder ${scratch.path('nowhere.csv')}; check the name`);
  });

  it('a pattern that matches nothing', async () => {
    const error = await refusal(scratch.path('nowhere-*.csv'));
    expect(error.message).toBe(`no file matches ${scratch.path('nowhere-*.csv')}; check the pattern`);
  });

  it.each([
    ['an empty file', 'empty.csv', '', 'empty.csv is empty (0 bytes)'],
    ['a file with a header only', 'header.csv', 'user_id,item_id\n', 'header.csv has a header but no rows'],
    ['a file of blank lines', 'blank.csv', '\n\n\n', 'blank.csv has no header and no rows'],
    ['JSON Lines without lines', 'blank.jsonl', '\n\n', 'blank.jsonl has no rows'],
  ])('%s', async (_, name, content, message) => {
    const error = await refusal(await scratch.file(name, content));
    expect(error).toMatchObject({ name: 'DataError', code: 'STOA_DATA_EMPTY' });
    expect(error.message).toContain(message);
  });

  it('a header without the needed columns: the message names those found, the nearest and the flag', async () => {
    const file = await scratch.file('odd.csv', 'usr_id,itm,stars\n1,2,3\n');
    const noUser = await refusal(file);
    expect(noUser).toMatchObject({ name: 'DataError', code: 'STOA_DATA_COLUMN', exitCode: 2 });
    expect(noUser.message).toBe(
      'odd.csv has no user column that is known by its name (its columns are "usr_id", "itm", "stars"); ' +
        'name it, for example --user-col "usr_id"',
    );
    const noItem = await refusal(file, { userCol: 'usr_id' });
    expect(noItem.message).toContain('has no item column');
    expect(noItem.message).toContain('--item-col "itm"');
    const mistyped = await refusal(file, { userCol: 'user_id', itemCol: 'itm' });
    expect(mistyped.message).toBe(
      'odd.csv has no column "user_id" (--user-col); did you mean "usr_id"?; its columns are "usr_id", "itm", "stars"',
    );
  });

  it('one column for users and items', async () => {
    const error = await refusal(await scratch.file('one.csv', GOOD), { itemCol: 'user_id' });
    expect(error.message).toContain('cannot hold both users and items');
  });

  it('files with different columns', async () => {
    const a = await scratch.file('a.csv', GOOD);
    const b = await scratch.file('b.csv', 'user_id,course\nann,go\n');
    const error = await refusal([a, b]);
    expect(error.message).toContain('b.csv has no column "item_id", which a.csv has');
  });

  it('a merge rule that needs values which are not there', async () => {
    const error = await refusal(await scratch.file('novalue.csv', GOOD), { merge: 'max' });
    expect(error).toMatchObject({ name: 'UsageError', exitCode: 2 });
    expect(error.message).toContain('--merge max needs values');
  });

  it('UTF-16 and binary files', async () => {
    const utf16 = await refusal(await scratch.file('utf16.csv', Buffer.from(`\ufeff${GOOD}`, 'utf16le')));
    expect(utf16).toMatchObject({ code: 'STOA_DATA_ENCODING' });
    expect(utf16.message).toContain('utf16.csv is not UTF-8 text: it starts with the mark of UTF-16');
    const binary = await refusal(await scratch.file('binary.csv', Buffer.from([1, 2, 0, 3])));
    expect(binary.message).toContain('binary.csv is not UTF-8 text');
  });

  it.each([
    ['a format that is unknown', 'a.xlsx', GOOD, 'a.xlsx is of an unknown format (.xlsx); expected CSV'],
    ['a file that is not gzip', 'plain.csv.gz', GOOD, 'plain.csv.gz is not a gzip file'],
    ['a file that is not Parquet', 'text.parquet', GOOD, 'text.parquet is not a Parquet file, or damaged'],
    [
      'a JSON array',
      'array.json',
      '[{"user_id":1}]',
      'array.json is not JSON Lines: line 1 is not an object but the start of an array',
    ],
    [
      'mixed line ends',
      'mixed.csv',
      `${GOOD}bob,go\r\ncat,go\ndan,go\r\n`,
      'mixed.csv mixes line ends (LF and CRLF)',
    ],
  ])('%s', async (_, name, content, message) => {
    const error = await refusal(await scratch.file(name, content));
    expect(error).toMatchObject({ name: 'DataError', code: 'STOA_DATA_FILE' });
    expect(error.message).toContain(message);
  });

  it('a gzip file that was cut off or changed, wherever', async () => {
    const rows = Array.from({ length: 50_000 }, (_, n) => `u${(n * 7919) % 100_003},i${n % 13}\n`).join('');
    const whole = gzipSync(`user_id,item_id\n${rows}`);
    const changed = Buffer.from(whole);
    changed[changed.length - 6]! ^= 1;
    for (const bytes of [whole.subarray(0, whole.length / 2), whole.subarray(0, whole.length - 3), changed]) {
      const error = await refusal(await scratch.file('cut.csv.gz', bytes));
      expect(error).toMatchObject({ name: 'DataError', code: 'STOA_DATA_FILE' });
      expect(error.message).toBe('cut.csv.gz is not a gzip file, was cut off or damaged; compress it again');
    }
  });

  it('an output that is there: it is not touched', async () => {
    const out = scratch.freshOut();
    mkdirSync(out);
    writeFileSync(path.join(out, 'mine'), 'precious');
    const file = await scratch.file('good.csv', GOOD);
    const error = await failureOf(importInteractions({ files: [file], out }));
    expect(error).toMatchObject({ name: 'StateError', code: 'STOA_EXISTS', exitCode: 2 });
    expect(error.message).toContain(`${out} already exists and is not empty`);
    expect(readdirSync(out)).toEqual(['mine']);
    expect(readFileSync(path.join(out, 'mine'), 'utf8')).toBe('precious');
  });
});

const canMount = process.getuid?.() === 0 && process.platform === 'linux' && tryMount();

describe.skipIf(!canMount)(
  'a full disk (skipped where a tmpfs cannot be mounted: needs root on Linux)',
  () => {
    it('is said in a sentence, and the disk is as it was', async () => {
      const disk = scratch.path('small-disk');
      mkdirSync(disk);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
      try {
        const rows = Array.from({ length: 100_000 }, (_, n) => `user-${n},item-${n % 97}\n`).join('');
        const file = await scratch.file('large.csv', `user_id,item_id\n${rows}`);
        const error = await failureOf(importInteractions({ files: [file], out: path.join(disk, 'out') }));
        expect(error).toMatchObject({ name: 'SystemError', code: 'STOA_DISK_FULL', exitCode: 1 });
        expect(error.message).toContain(`no space left on the disk while writing ${path.join(disk, 'out')}`);
        expect(readdirSync(disk)).toEqual([]);
      } finally {
        execFileSync('umount', [disk]);
      }
    });
  },
);

function tryMount(): boolean {
  const folder = scratch.path('probe');
  mkdirSync(folder);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
