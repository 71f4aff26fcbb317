// The log of what left: every change of it is found, and what was being written when a process ended is not.

import { appendFile, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditLog, verifyAudit } from '../../../federation/audit/audit-log.js';
import { temporaryFolder } from '../../support/small-data.js';

let dir: string;
let remove: () => Promise<void>;
const file = () => path.join(dir, 'audit.jsonl');
const headFile = () => path.join(dir, 'audit-head.json');

beforeEach(async () => {
  const made = await temporaryFolder();
  remove = made.remove;
  dir = path.join(made.folder, 'audit');
  const log = await AuditLog.open(dir, () => new Date('2026-03-04T05:06:07Z'));
  log.poll();
  log.poll();
  await Promise.all(
    [1, 2, 3].map((round) => log.append({ run: 'r', round, message: `sum ${round}`, bytes: 100 * round })),
  );
  await log.close();
});
afterEach(() => remove());

const damaged = expect.objectContaining({ code: 'STOA_AUDIT_DAMAGED' });

describe('an audit log', () => {
  it('has every message in the order in which it left, and counts what had no data in it', async () => {
    const { entries, head } = await verifyAudit(dir);
    expect(entries.map(({ message, bytes, polls }) => [message, bytes, polls])).toEqual([
      ['sum 1', 100, 2],
      ['sum 2', 200, 0],
      ['sum 3', 300, 0],
    ]);
    expect(head.sequence).toBe(3);
  });

  it('shows any changed byte', async () => {
    const whole = await readFile(file());
    for (let at = 0; at < whole.length - 1; at += 7) {
      const changed = Buffer.from(whole);
      changed[at]! ^= 1;
      await writeFile(file(), changed);
      await expect(verifyAudit(dir), `byte ${at}`).rejects.toEqual(damaged);
    }
  });

  it.each([
    ['removed', (lines: string[]) => [lines[0]!, lines[2]!]],
    ['moved', (lines: string[]) => [lines[1]!, lines[0]!, lines[2]!]],
    ['repeated', (lines: string[]) => [...lines, lines[2]!]],
    ['cut off at the end', (lines: string[]) => lines.slice(0, 2)],
    ['all gone', () => []],
  ])('shows entries that were %s', async (_, change) => {
    const lines = (await readFile(file(), 'utf8')).trimEnd().split('\n');
    await writeFile(
      file(),
      change(lines)
        .map((line) => `${line}\n`)
        .join(''),
    );
    await expect(verifyAudit(dir)).rejects.toEqual(damaged);
  });

  it('shows that it or its head is gone, or that the head is another’s', async () => {
    const head = await readFile(headFile(), 'utf8');
    await rm(headFile());
    await expect(verifyAudit(dir)).rejects.toEqual(damaged);
    await writeFile(headFile(), head.replace(/[0-9a-f]{8}/, '00000000'));
    await expect(verifyAudit(dir)).rejects.toEqual(damaged);
    await writeFile(headFile(), head);
    await rm(file());
    await expect(verifyAudit(dir)).rejects.toEqual(damaged);
  });

  it('goes on after a process that ended while it wrote: the half line is no entry', async () => {
    await appendFile(file(), '0123456789abcdef half a li');
    const log = await AuditLog.open(dir, () => new Date('2026-03-04T05:06:08Z'));
    await log.append({ run: 'r', round: 4, message: 'sum 4', bytes: 400 });
    await log.close();
    const { entries } = await verifyAudit(dir);
    expect(entries.map(({ round }) => round)).toEqual([1, 2, 3, 4]);
  });

  it('is not where none was begun', async () => {
    await expect(verifyAudit(path.join(dir, 'elsewhere'))).rejects.toMatchObject({
      code: 'STOA_NOT_FOUND_FILE',
    });
  });
});
