// The journal: what was acknowledged is found again, whatever became of the rest of the file.

import { cp, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { open } from 'lmdb';
import { type Logger, pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../common/clock.js';
import { FencedError } from '../../common/errors.js';
import { createRandom } from '../../common/random.js';
import { DiskGuard } from '../../coordinator/journal/disk-guard.js';
import type { JournalEntry } from '../../coordinator/journal/entries.js';
import { Journal, type JournalOptions } from '../../coordinator/journal/journal.js';
import { listTerms, readTerm, termDir } from '../../coordinator/journal/read-terms.js';
import { chainStart, encodeRecord, findRecords } from '../../coordinator/journal/records.js';
import { type Fence, soleFence } from '../../coordinator/leader/fence.js';
import type { RunRecord } from '../../coordinator/training/run-folder.js';
import { temporaryFolder } from '../support/small-data.js';

let folder: string;
let remove: () => Promise<void>;
let warnings: string[];

beforeEach(async () => {
  ({ folder, remove } = await temporaryFolder());
  warnings = [];
});

afterEach(() => remove());

const log = (): Logger =>
  pino({ level: 'warn' }, { write: (line: string) => void warnings.push(JSON.parse(line).msg as string) });

function openJournal(term: number, change: Partial<JournalOptions> = {}): Promise<Journal> {
  return Journal.open({
    dir: folder,
    fence: soleFence(term),
    guard: new DiskGuard(folder, 0),
    clock: systemClock,
    log: log(),
    onFatal: () => {},
    ...change,
  });
}

function recordOf(id: string, state: RunRecord['state'] = 'queued'): RunRecord {
  return {
    format: 'stoa-run',
    version: 1,
    run_id: id,
    state,
    create_time: '2026-01-01T00:00:00.000Z',
    dataset: '/data',
    dataset_fingerprint: 'f'.repeat(64),
    active_ms: 0,
    phases_done: 0,
  };
}

const submitted = (id: string): JournalEntry => ({
  kind: 'submitted',
  record: recordOf(id),
  config: { 'train.epochs': 3 },
});

const phase = (id: string, next: number): JournalEntry => ({
  kind: 'phase',
  run_id: id,
  end: { next_phase: next, checkpoint: `phase-${next}.json`, sha256: 's'.repeat(64) },
});

/** A journal of one term with so many records, closed. Resolves to its file. */
async function written(records: number): Promise<string> {
  const journal = await openJournal(1);
  await journal.append(submitted('run-0'));
  for (let n = 2; n < records; n++) await journal.append(phase('run-0', n));
  await journal.close();
  return path.join(termDir(folder, 1), 'data.mdb');
}

describe('records', () => {
  it('are found again wherever they lie in a file, in the order of their chain', () => {
    const payloads = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(payloads, fc.infiniteStream(fc.uint8Array({ maxLength: 50 })), (texts, noise) => {
        let head = chainStart(3);
        const pieces: Buffer[] = [];
        for (const text of texts) {
          const record = encodeRecord(head, Buffer.from(text));
          head = record.head;
          pieces.push(record.bytes);
        }
        const shuffled = pieces.reverse().flatMap((piece) => [Buffer.from(noise.next().value), piece]);
        const found = findRecords(Buffer.concat(shuffled), 3);
        expect(found.payloads.map((payload) => [...payload])).toEqual(texts.map((text) => [...text]));
        expect(found.head).toEqual(head);
        expect(findRecords(Buffer.concat(shuffled), 4).payloads).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  it('after one that is missing or altered do not count', () => {
    let head = chainStart(1);
    const pieces = ['a', 'b', 'c', 'd'].map((text) => {
      const record = encodeRecord(head, Buffer.from(text));
      head = record.head;
      return record.bytes;
    });
    const without = findRecords(Buffer.concat([pieces[0]!, pieces[2]!, pieces[3]!]), 1);
    expect(without).toMatchObject({ head: { sequence: 1 }, sequenceSeen: 4 });
    const forged = encodeRecord({ sequence: 1, chain: Buffer.alloc(32) }, Buffer.from('b')).bytes;
    expect(findRecords(Buffer.concat([pieces[0]!, forged, pieces[2]!]), 1).head.sequence).toBe(1);
  });
});

describe('a journal', () => {
  it('is taken up by the next term with all that was said', async () => {
    const first = await openJournal(1);
    expect(first.state.runs.size).toBe(0);
    await first.append(submitted('run-1'));
    await first.append({ kind: 'run', record: recordOf('run-1', 'running') });
    await Promise.all([1, 2, 3].map((next) => first.append(phase('run-1', next))));
    await first.append({ kind: 'promotion', promotion: { current: 'v2', previous: ['v1'] } });
    await first.close();
    const second = await openJournal(2);
    expect([...second.state.runs.values()]).toEqual([...first.state.runs.values()]);
    expect(second.state.runs.get('run-1')).toMatchObject({ record: { state: 'running' } });
    expect(second.state.runs.get('run-1')!.phases.map(({ next_phase }) => next_phase)).toEqual([1, 2, 3]);
    expect(second.state.promotion).toEqual({ current: 'v2', previous: ['v1'] });
    await second.append(phase('run-1', 2));
    expect(second.state.runs.get('run-1')!.phases.map(({ next_phase }) => next_phase)).toEqual([1, 2]);
    await second.close();
    expect(warnings).toEqual([]);
  });

  it('reads from the file what the store itself says it holds', async () => {
    await written(60);
    const store = open<Buffer, number>({
      path: termDir(folder, 1),
      encoding: 'binary',
      keyEncoding: 'uint32',
      readOnly: true,
    });
    const values = [...store.getRange({})].map(({ value }) => Buffer.from(value));
    await store.close();
    expect(values).toHaveLength(60);
    expect(findRecords(Buffer.concat(values), 1).head.sequence).toBe(60);
    const read = await readTerm(folder, 1);
    expect(read.entries).toHaveLength(60);
    expect(read.damage).toBeUndefined();
  });

  it('keeps the last terms only', async () => {
    for (let term = 1; term <= 5; term++) await (await openJournal(term)).close();
    expect(await listTerms(folder)).toEqual([3, 4, 5]);
  });

  it('refuses a term that is not later than all that have begun', async () => {
    await (await openJournal(4)).close();
    await expect(openJournal(4)).rejects.toMatchObject({ code: 'STOA_NOT_LEADER' });
    await expect(openJournal(3)).rejects.toMatchObject({ code: 'STOA_NOT_LEADER' });
  });

  it('with any bit flipped or its end cut off is cut back to whole records, named, and never believed', async () => {
    const file = await written(40);
    const whole = (await readTerm(folder, 1)).entries;
    const bytes = await readFile(file);
    const random = createRandom(11);
    let cut = 0;
    for (let trial = 0; trial < 1000; trial++) {
      const damaged = Buffer.from(trial % 4 === 0 ? bytes.subarray(0, random.int(bytes.length)) : bytes);
      if (trial % 4 !== 0) damaged[random.int(damaged.length)]! ^= 1 << random.int(8);
      await writeFile(file, damaged);
      const { entries, damage, head } = await readTerm(folder, 1);
      expect(entries).toEqual(whole.slice(0, entries.length));
      expect(head.sequence).toBe(entries.length);
      if (entries.length < whole.length) {
        cut++;
        expect(damage).toContain(file);
      }
    }
    expect(cut).toBeGreaterThan(50);
    await truncate(file, 5000);
    const next = await openJournal(2);
    await next.close();
    expect(warnings.join()).toContain(file);
  });

  it('that lost its newest term wholly goes back to the one before, and says so', async () => {
    await written(5);
    await (await openJournal(2)).close();
    await rm(path.join(termDir(folder, 2), 'data.mdb'));
    const third = await openJournal(3);
    expect(third.state.runs.get('run-0')!.phases).toHaveLength(3);
    expect(warnings[0]).toMatch(/term-000002.*the term before is taken/);
    await third.close();
  });

  it('counts nothing that an earlier leader wrote after it was taken over', async () => {
    const old = await openJournal(1);
    await old.append(submitted('run-1'));
    const taken = await openJournal(2);
    // Frozen in the middle, it wakes up and goes on as if nothing had happened.
    await old.append(phase('run-1', 9));
    await old.append({ kind: 'promotion', promotion: { current: 'old', previous: [] } });
    await old.close();
    await taken.close();
    const third = await openJournal(3);
    expect(third.state.runs.get('run-1')!.phases).toEqual([]);
    expect(third.state.promotion).toBeUndefined();
    await third.close();
  });

  it('acknowledges nothing once the right to write is gone, not even what reached the disk', async () => {
    let isOver = false;
    let asked = 0;
    const fence: Fence = {
      term: 1,
      check: () => {
        asked++;
        if (isOver) throw new FencedError('STOA_NOT_LEADER', 'over');
      },
    };
    const journal = await openJournal(1, { fence });
    asked = 0;
    const during = journal.append(submitted('run-1'));
    isOver = true;
    await expect(during).rejects.toMatchObject({ code: 'STOA_NOT_LEADER' });
    expect(asked).toBe(2);
    await expect(journal.append(submitted('run-2'))).rejects.toMatchObject({ code: 'STOA_NOT_LEADER' });
    expect(journal.state.runs.size).toBe(0);
    await journal.close();
  });

  it('refuses records before the disk is full, reads on, and takes them when there is room', async () => {
    let isFull = false;
    const guard = new (class extends DiskGuard {
      override hasRoom = () => !isFull;
    })(folder);
    const journal = await openJournal(1, { guard });
    await journal.append(submitted('run-1'));
    isFull = true;
    await expect(journal.append(submitted('run-2'))).rejects.toMatchObject({ code: 'STOA_DISK_FULL' });
    expect(journal.state.runs.size).toBe(1);
    isFull = false;
    await journal.append(submitted('run-3'));
    await journal.close();
    expect((await readTerm(folder, 1)).entries).toHaveLength(3);
  });

  it('of a folder that was copied is taken up where it was copied to', async () => {
    await written(6);
    const copy = path.join(folder, 'elsewhere');
    await mkdir(copy);
    await cp(termDir(folder, 1), termDir(copy, 1), { recursive: true });
    const journal = await openJournal(2, { dir: copy });
    expect(journal.state.runs.get('run-0')!.phases).toHaveLength(4);
    await journal.close();
  });
});
