// Over gRPC: a run after an erasure has the bytes of a run of a participant that never had the learner.

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { openDataset } from '../../../datasets/dataset.js';
import { forgetUser } from '../../../datasets/forget-user.js';
import { PendingErasures } from '../../../federation/erasure/pending-erasures.js';
import { tableHash } from '../../../federation/protocol/input-hash.js';
import { type Csr, csrSlice } from '../../../models/csr.js';
import { writeInteractions } from '../../support/random-dataset.js';
import { dataOf, nameOf, PLAN, RunningFederation } from './running-federation.js';

const COUNT = 5;
const WHERE = 2;
const ROW = 9;
const LEARNER = 'u0000009';
/** However slow the machine is, nobody is left out: a sum without somebody is another one. */
const PATIENT = { presenceMs: 600_000, answerMs: 600_000 };

const folder = await mkdtemp(path.join(os.tmpdir(), 'stoa-forget-'));
let running: RunningFederation | undefined;
afterEach(async () => {
  await running?.close();
  running = undefined;
});

function without(csr: Csr, row: number): Csr {
  const [before, after] = [csrSlice(csr, 0, row), csrSlice(csr, row + 1, csr.rows)];
  const ptr = [...before.ptr, ...Array.from(after.ptr.subarray(1), (at) => at + before.ptr[row]!)];
  const idx = Int32Array.from([...before.idx, ...after.idx]);
  return { rows: csr.rows - 1, cols: csr.cols, ptr: Int32Array.from(ptr), idx };
}

/** SHA-256 of the items' factors after a run in which one participant has the dataset. */
async function itemsOfRun(isMasked: boolean, data: string): Promise<string> {
  running = await RunningFederation.start({ ...PLAN, isMasked }, COUNT, { timing: PATIENT });
  const { parts } = dataOf(COUNT);
  await Promise.all(
    parts.map((part, n) => running!.participate(nameOf(n), part, n === WHERE ? { data } : {})),
  );
  const outcome = await running.federation.outcome;
  expect(outcome).toMatchObject({ isComplete: true, cuts: 0, aborted: 0 });
  await running.close();
  return Buffer.from(tableHash(outcome.items)).toString('hex');
}

describe('a federated run after an erasure', () => {
  it('has the bytes of a run without the learner from the start, masked and not', async () => {
    const [own, never] = [path.join(folder, 'own'), path.join(folder, 'never')];
    const part = dataOf(COUNT).parts[WHERE]!;
    await writeInteractions(own, part);
    await writeInteractions(never, without(part, ROW));
    const before = [await itemsOfRun(false, own), await itemsOfRun(true, own)];
    expect(await forgetUser(own, LEARNER)).toMatchObject({ items: 0 });
    for (const [n, isMasked] of [false, true].entries()) {
      const after = await itemsOfRun(isMasked, own);
      expect(after).toBe(await itemsOfRun(isMasked, never));
      expect(after).not.toBe(before[n]);
    }
    await rm(folder, { recursive: true });
  }, 60_000);

  it('does not begin for a participant whose erasure did not end, or whose learner came back', async () => {
    running = await RunningFederation.start(PLAN, COUNT);
    const part = dataOf(COUNT).parts[0]!;
    const stateDir = path.join(running.dir, nameOf(0));
    const erasures = await PendingErasures.open(stateDir);
    const begun = await erasures.begin(LEARNER, new Date());
    const refused = () => expect(running!.participate(nameOf(0), part)).rejects;
    await refused().toMatchObject({ code: 'STOA_ERASURE', message: expect.stringContaining('did not end') });
    await erasures.end(begun, new Date());
    await refused().toMatchObject({ code: 'STOA_ERASURE', fields: { row: ROW } });
    expect((await (await openDataset(path.join(stateDir, 'data'))).userIds())[ROW]).toBe(LEARNER);
    expect(running.federation.traffic()).toEqual([]);
  });
});
