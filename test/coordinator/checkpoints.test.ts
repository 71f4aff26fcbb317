// Checkpoints on disk: whole or passed over, the last ones kept, a full disk waited out.

import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../common/clock.js';
import { SystemError } from '../../common/errors.js';
import { createRandom } from '../../common/random.js';
import { DiskGuard } from '../../coordinator/journal/disk-guard.js';
import type { PhaseEnd } from '../../coordinator/journal/entries.js';
import { soleFence } from '../../coordinator/leader/fence.js';
import { ParameterStore } from '../../coordinator/parameters/parameter-store.js';
import type { RowSource } from '../../coordinator/parameters/row-source.js';
import { parseRunConfig } from '../../coordinator/plan/run-config.js';
import { snapshotOf } from '../../coordinator/training/checkpoint.js';
import { Checkpoints, type CheckpointsOptions } from '../../coordinator/training/checkpoints.js';
import { packedGramOf } from '../../models/gram.js';
import { temporaryFolder } from '../support/small-data.js';
import { quietLog } from '../support/training-cluster.js';

const FACTORS = 3;
const run = { runId: 'run-1', plan: 'p'.repeat(64), config: parseRunConfig({ 'ials.factors': FACTORS }) };

let folder: string;
let remove: () => Promise<void>;
let acknowledged: PhaseEnd[];

beforeEach(async () => {
  ({ folder, remove } = await temporaryFolder());
  acknowledged = [];
});

afterEach(() => remove());

function checkpointsOf(change: Partial<CheckpointsOptions> = {}): Checkpoints {
  return new Checkpoints({
    dir: folder,
    keep: 2,
    fence: soleFence(1),
    guard: new DiskGuard(folder, 0),
    signal: new AbortController().signal,
    clock: systemClock,
    log: quietLog,
    acknowledge: async (end) => void acknowledged.push(end),
    onWaiting: () => {},
    onFatal: () => {},
    ...change,
  });
}

/** A store after so many phases of made-up rows, which depend on the phase alone. */
function storeAt(phases: number): ParameterStore {
  const store = new ParameterStore({ users: 5, items: 4, factors: FACTORS });
  for (let phase = 0; phase < phases; phase++) {
    const side = phase % 2 === 0 ? 'users' : 'items';
    const random = createRandom(phase + 1, 5);
    const count = store.tables.rows(side);
    const rows = Float32Array.from({ length: count * FACTORS }, () => random.normal());
    store.beginPhase(side, 1);
    const gram = packedGramOf(rows, count, FACTORS);
    store.tables.next(side, 0, count).set(rows);
    store.apply(0, { gram, loss: { observed: 1, penalty: 0.1 * phase } });
    store.commitPhase();
  }
  return store;
}

function snapshotAt(phases: number) {
  const store = storeAt(phases);
  const tables = { users: store.tables.current('users'), items: store.tables.current('items') };
  return { ...snapshotOf(store, run, phases), tables };
}

async function write(checkpoints: Checkpoints, ...phases: number[]): Promise<void> {
  for (const phase of phases) {
    checkpoints.begin(snapshotAt(phase), async () => {});
    await checkpoints.settle();
  }
}

async function rowsOf(source: RowSource): Promise<number[]> {
  const rows: number[] = [];
  for await (const piece of source.read()) rows.push(...piece);
  return rows;
}

describe('checkpoints', () => {
  it('keep both tables, clocks, Grams and penalties bit for bit', async () => {
    await write(checkpointsOf(), 5);
    expect(await checkpointsOf().latest()).toEqual(snapshotAt(5));
    expect(snapshotAt(5).clocks).toEqual({ users: 3, items: 2 });
  });

  it('can be read piece by piece, without their tables in memory', async () => {
    await write(checkpointsOf(), 5);
    const found = (await checkpointsOf().find())!;
    const { tables, ...facts } = snapshotAt(5);
    expect({ ...found, tables: {} }).toEqual({ ...facts, tables: {} });
    for (const side of ['users', 'items'] as const) {
      expect(await rowsOf(found.tables[side])).toEqual([...tables[side]]);
    }
  });

  it('are passed over where a piece is damaged, even if their rows stay on the disk', async () => {
    await write(checkpointsOf(), 4, 5);
    const file = path.join(folder, 'users-000003.1.table');
    const bytes = await readFile(file);
    bytes[7]! ^= 1;
    await writeFile(file, bytes);
    expect((await checkpointsOf().find())?.nextPhase).toBe(4);
  });

  it('keep the tables of models that have no Grams bit for bit', async () => {
    const stepped = { ...snapshotAt(5), clocks: { users: 48, items: 48 }, sums: {} };
    const checkpoints = checkpointsOf();
    checkpoints.begin(stepped, async () => {});
    await checkpoints.settle();
    expect(await checkpointsOf().latest()).toEqual(stepped);
  });

  it('keep the tables of the best epoch beside those of the last ones, written once, for as long as it is the best', async () => {
    const at = (phases: number) => ({
      ...snapshotAt(phases),
      clocks: { users: 8 * phases, items: 8 * phases },
      sums: {},
    });
    const bestOf = ({ nextPhase, clocks, tables }: ReturnType<typeof at>) => ({ nextPhase, clocks, tables });
    const checkpoints = checkpointsOf();
    for (const [phase, best] of [
      [1, 1],
      [2, 2],
      [3, 2],
      [4, 2],
      [5, 2],
    ] as const) {
      const snapshot = { ...at(phase), best: best === phase ? undefined : bestOf(at(best)) };
      checkpoints.begin(snapshot, async () => {});
      await checkpoints.settle();
    }
    const tables = (await readdir(folder)).filter((name) => name.startsWith('items')).sort();
    expect(tables).toEqual(['items-000016.1.table', 'items-000032.1.table', 'items-000040.1.table']);
    const latest = checkpointsOf({ fence: soleFence(2) });
    const loaded = await latest.latest();
    expect(loaded).toEqual({ ...at(5), best: bestOf(at(2)) });
    // A later term writes what it needs anew: the files of the one before may yet be removed.
    latest.begin({ ...loaded!, nextPhase: 6, clocks: { users: 48, items: 48 } }, async () => {});
    await latest.settle();
    expect(await readdir(folder)).toContain('items-000016.2.table');
    latest.begin({ ...at(7), best: undefined }, async () => {});
    await latest.settle();
    latest.begin({ ...at(8), best: undefined }, async () => {});
    await latest.settle();
    const left = (await readdir(folder)).filter((name) => name.startsWith('items')).sort();
    expect(left).toEqual(['items-000056.2.table', 'items-000064.2.table']);
  });

  it('write only the table that a phase changed, and keep the tables of the last ones', async () => {
    const checkpoints = checkpointsOf({ keep: 3 });
    expect(await checkpoints.latest()).toBeUndefined();
    await write(checkpoints, 1, 2, 3, 4, 5, 6);
    expect((await readdir(folder)).sort()).toEqual([
      'items-000002.1.table',
      'items-000003.1.table',
      'phase-000004.1.json',
      'phase-000005.1.json',
      'phase-000006.1.json',
      'users-000002.1.table',
      'users-000003.1.table',
    ]);
    expect(acknowledged.map(({ next_phase }) => next_phase)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('are passed over for the one before with any byte flipped or cut off anywhere', async () => {
    await write(checkpointsOf(), 4, 5, 6);
    const older = snapshotAt(5);
    const random = createRandom(3);
    // What the newest one has for itself; the table that both have is needed by both.
    for (const name of ['phase-000006.1.json', 'items-000003.1.table']) {
      const file = path.join(folder, name);
      const bytes = await readFile(file);
      // The very last byte of a manifest ends its line, and says nothing.
      const length = name.endsWith('.json') ? bytes.length - 1 : bytes.length;
      for (let trial = 0; trial < 100; trial++) {
        const damaged = Buffer.from(bytes);
        damaged[random.int(length)]! ^= 1 << random.int(8);
        await writeFile(file, damaged);
        expect(await checkpointsOf().latest()).toEqual(older);
      }
      await writeFile(file, bytes);
      for (let trial = 0; trial < 25; trial++) {
        await truncate(file, random.int(length));
        expect(await checkpointsOf().latest()).toEqual(older);
        await writeFile(file, bytes);
      }
    }
    expect(await checkpointsOf().latest()).toEqual(snapshotAt(6));
    await rm(path.join(folder, 'users-000003.1.table'));
    await expect(checkpointsOf().latest()).rejects.toMatchObject({
      code: 'STOA_TORN',
      message: expect.stringContaining('users-000003.1.table'),
    });
  });

  it('that the journal does not know count only when none that it knows is whole', async () => {
    await write(checkpointsOf(), 2, 3);
    const known = [...acknowledged];
    // A leader that lost its right in the middle: its file is there, nobody was told of it.
    await write(checkpointsOf({ keep: 9 }), 3, 4);
    expect(await checkpointsOf().latest(known)).toMatchObject({ nextPhase: 3 });
    expect(await checkpointsOf().latest()).toMatchObject({ nextPhase: 4 });
    for (const { checkpoint } of known) await rm(path.join(folder, checkpoint), { force: true });
    expect(await checkpointsOf().latest(known)).toMatchObject({ nextPhase: 4 });
  });

  it('of a later term are newer whatever their phase, and an earlier term removes none of them', async () => {
    const old = checkpointsOf({ keep: 1 });
    await write(old, 6);
    const taken = checkpointsOf({ fence: soleFence(2), keep: 9 });
    await taken.latest();
    await write(taken, 7);
    // An earlier leader that does not know that it is over.
    await write(old, 8);
    expect(await checkpointsOf({ fence: soleFence(3) }).latest()).toMatchObject({ nextPhase: 7 });
  });

  it('wait for room on the disk, say so, and are written when there is some', async () => {
    let isFull = true;
    const guard = new (class extends DiskGuard {
      override hasRoom = () => !isFull;
    })(folder);
    const waits: boolean[] = [];
    const checkpoints = checkpointsOf({ guard, onWaiting: (isWaiting) => waits.push(isWaiting) });
    checkpoints.begin(snapshotAt(2), async () => {});
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(waits).toEqual([true]);
    expect(await readdir(folder)).toEqual([]);
    isFull = false;
    await checkpoints.settle();
    expect(waits).toEqual([true, false]);
    expect(await checkpointsOf().latest()).toMatchObject({ nextPhase: 2 });
  });

  it('that were captured are not read again when a later part of them meets a full disk', async () => {
    let refusals = 2;
    const store = storeAt(2);
    const checkpoints = checkpointsOf({
      acknowledge: async () => {
        if (refusals-- > 0) throw new SystemError('STOA_DISK_FULL', 'full');
      },
    });
    checkpoints.begin(snapshotOf(store, run, 2), async () => {});
    await checkpoints.untilCaptured(4);
    store.tables.current('users').fill(9);
    await checkpoints.settle();
    expect(await checkpointsOf().latest()).toEqual(snapshotAt(2));
  });

  it('that the disk does not confirm end everything at once, and are not tried again', async () => {
    let failures = 0;
    const checkpoints = checkpointsOf({
      acknowledge: async () => {
        throw new SystemError('STOA_DISK_FAILED', 'the disk did not confirm');
      },
      onFatal: () => failures++,
    });
    checkpoints.begin(snapshotAt(2), async () => {});
    await expect(checkpoints.settle()).rejects.toMatchObject({ code: 'STOA_DISK_FAILED' });
    expect(failures).toBe(1);
    expect(checkpoints.hasFailed).toBe(true);
  });
});
