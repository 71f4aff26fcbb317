// What a parameter process makes of calls that come late or twice, and what its coordinator makes of one that fails.

import { describe, expect, it } from 'vitest';
import { FencedError, SystemError } from '../../common/errors.js';
import { encodeRows } from '../../common/row-chunks.js';
import { HeldTables } from '../../coordinator/holder/held-tables.js';
import { memoryStorage } from '../../coordinator/holder/row-storage.js';
import { acceptResults, commitTable, fillTable } from '../../coordinator/holder/table-calls.js';
import { HolderSessions } from '../../coordinator/holders/holder-sessions.js';
import { HolderTasks } from '../../coordinator/holders/holder-tasks.js';
import { isWorthAnother } from '../../coordinator/holders/insistence.js';
import type { OpenTablesRequest__Output } from '../../proto/generated/stoa/parameters/v1/OpenTablesRequest.js';

const ROWS = 3;

function opened(generation: number, isStepped = false): OpenTablesRequest__Output {
  const table = (side: 'SIDE_USERS' | 'SIDE_ITEMS') => ({
    side,
    rows: ROWS,
    clock: 4,
    parts: [{ rowStart: 0, rowEnd: ROWS }],
    blockStarts: [0],
  });
  return {
    key: keyOf(generation),
    term: 7,
    secret: Buffer.alloc(32, generation),
    factors: 2,
    tables: [table('SIDE_USERS'), table('SIDE_ITEMS')],
    steps: isStepped ? { isImmediate: false, isAhead: false } : null,
  };
}

function keyOf(generation: number) {
  return { holderId: 'h', runId: 'run', generation };
}

function joined(): HeldTables {
  const tables = new HeldTables(memoryStorage);
  tables.join('h', 7);
  return tables;
}

function filled(value: number, clock: number) {
  const rows = new Float32Array(ROWS * 2).fill(value);
  return { side: 'SIDE_ITEMS' as const, clock, chunk: { ...encodeRows(rows, 0), exchangedRows: 0 } };
}

describe('the tables of a parameter process', () => {
  it('stay open when they are asked for again, and are replaced by those of a later generation', () => {
    const tables = joined();
    tables.open(opened(1));
    const first = tables.ofRun('run');
    tables.open(opened(1));
    expect(tables.ofRun('run')).toBe(first);
    tables.open(opened(2));
    expect(tables.ofRun('run').generation).toBe(2);
  });

  it('are not opened again once they are over, however late they are asked for', () => {
    const tables = joined();
    tables.open(opened(1));
    tables.open(opened(2));
    expect(() => tables.open(opened(1))).toThrow(/is over/);
    expect(tables.ofRun('run').generation).toBe(2);
    tables.close(keyOf(2));
    expect(() => tables.open(opened(2))).toThrow(/is over/);
    tables.open(opened(3));
    expect(tables.ofRun('run').generation).toBe(3);
  });

  it('take no rows of a clock that they have gone past', () => {
    const tables = joined();
    tables.open(opened(1));
    fillTable(tables, keyOf(1), filled(1, 4));
    tables.ofRun('run').sides.items!.hold(0, 11, (out) => {
      out.fill(2);
    });
    fillTable(tables, keyOf(1), filled(1, 4));
    const result = { side: 'SIDE_ITEMS' as const, block: 0, clock: 5, leaseId: 11 };
    acceptResults(tables, { key: keyOf(1), results: [{ ...result, mergeRate: 0, isElsewhere: false }] });
    commitTable(tables, { key: keyOf(1), side: 'SIDE_ITEMS', clock: 5, isBest: false });
    expect(() => fillTable(tables, keyOf(1), filled(1, 4))).toThrow(FencedError);
    expect([...tables.ofRun('run').sides.items!.at(5, { rowStart: 0, rowEnd: ROWS })]).toEqual([
      2, 2, 2, 2, 2, 2,
    ]);
  });

  it('take the rows of the best epoch first, then those to begin with, and none once these are kept', () => {
    const tables = joined();
    tables.open(opened(1, true));
    const commit = (clock: number, isBest: boolean) =>
      commitTable(tables, { key: keyOf(1), side: 'SIDE_ITEMS', clock, isBest });
    fillTable(tables, keyOf(1), filled(3, 2));
    commit(2, false);
    commit(2, true);
    fillTable(tables, keyOf(1), filled(5, 4));
    expect(() => fillTable(tables, keyOf(1), filled(3, 2))).toThrow(FencedError);
    fillTable(tables, keyOf(1), filled(5, 4));
    commit(4, false);
    expect(() => fillTable(tables, keyOf(1), filled(5, 4))).toThrow(FencedError);
    const at = (clock: number) =>
      tables.ofRun('run').steps!.keptAt('items', clock, { rowStart: 0, rowEnd: ROWS })[0];
    expect([at(2), at(4)]).toEqual([3, 5]);
  });
});

it('rows that were kept stay kept when a call to keep earlier ones comes late', () => {
  const tables = joined();
  tables.open(opened(1, true));
  const keep = (clock: number) =>
    commitTable(tables, { key: keyOf(1), side: 'SIDE_ITEMS', clock, isBest: false });
  fillTable(tables, keyOf(1), filled(1, 4));
  keep(4);
  keep(5);
  keep(4);
  const kept = tables.ofRun('run').steps!.keptAt('items', 5, { rowStart: 0, rowEnd: ROWS });
  expect([...kept]).toEqual(Array(ROWS * 2).fill(1));
});

describe('a coordinator', () => {
  const timing = { heartbeatMs: 1000, sessionTimeoutMs: 3000 };
  const address = { host: '127.0.0.1', port: 1 };

  it('places nothing on a process whose call has failed until it has joined again', () => {
    const sessions = new HolderSessions(timing, 0);
    sessions.register({ id: 'a', name: 'p1', address }, 0);
    sessions.register({ id: 'b', name: 'p2', address }, 0);
    expect(sessions.giveUp('a', 'it said no')).toMatchObject({ holder: { name: 'p1' } });
    expect(sessions.alive().map(({ id }) => id)).toEqual(['b']);
    expect(() => sessions.heartbeat('a', 0, 10)).toThrow(/given up/);
    expect(sessions.register({ id: 'c', name: 'p1', address }, 20)).toEqual([]);
    expect(sessions.alive().map(({ id }) => id)).toEqual(['c', 'b']);
  });

  it('gives up who is silent, but nobody when it was frozen itself', () => {
    const sessions = new HolderSessions(timing, 0);
    sessions.register({ id: 'a', name: 'p1', address }, 0);
    expect(sessions.tick(20_000)).toEqual([]);
    for (let nowMs = 20_500; nowMs <= 23_000; nowMs += 500) expect(sessions.tick(nowMs)).toEqual([]);
    expect(sessions.tick(23_500)).toMatchObject([{ holder: { id: 'a' }, why: 'it was silent for 3 s' }]);
  });

  it('takes a clock that is read as early neither for silence nor for a pause of its own', () => {
    const sessions = new HolderSessions(timing, 10_000);
    sessions.register({ id: 'a', name: 'p1', address }, 10_000);
    sessions.heartbeat('a', 0, 8000);
    for (let nowMs = 10_500; nowMs <= 12_500; nowMs += 500) expect(sessions.tick(nowMs)).toEqual([]);
    expect(sessions.tick(10_000)).toEqual([]);
    expect(sessions.tick(13_500)).toMatchObject([{ holder: { id: 'a' } }]);
  });

  it('asks again who may yet answer, and to open tables also who does not know its place yet', () => {
    const silent = new SystemError('STOA_UNREACHABLE', 'no answer');
    const placeless = new FencedError('STOA_SESSION_OVER', 'no place');
    expect(isWorthAnother(silent, 9000)).toBe(true);
    expect(isWorthAnother(silent, 11_000)).toBe(false);
    expect(isWorthAnother(placeless, 0)).toBe(false);
    expect(isWorthAnother(placeless, 0, 'open')).toBe(true);
    expect(isWorthAnother(placeless, 11_000, 'open')).toBe(false);
  });

  it('tells a process of results in order, one call at a time, and of the end of a phase after them', () => {
    const tasks = new HolderTasks();
    const result = (block: number) => ({ side: 'SIDE_USERS' as const, block, clock: 1, leaseId: block });
    for (let block = 0; block < 1500; block++) tasks.accept(result(block));
    tasks.commit('users', 1, false);
    tasks.accept(result(1500));
    const told: string[] = [];
    for (let task = tasks.next(); task !== undefined; task = tasks.next()) {
      expect(tasks.next()).toBeUndefined();
      told.push(
        task.kind === 'commit' ? 'commit' : `${task.results[0]!.block} and ${task.results.length - 1} more`,
      );
      tasks.done();
    }
    expect(told).toEqual(['0 and 1023 more', '1024 and 475 more', 'commit', '1500 and 0 more']);
    expect([tasks.putCount, tasks.doneCount]).toEqual([1502, 1502]);
  });
});
