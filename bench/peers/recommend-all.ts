// The process that recommends for many users: node recommend-all.js REQUEST, which is JSON. Prints JSON.

import path from 'node:path';
import { openDataset } from '../../datasets/dataset.js';
import { csrSlice } from '../../models/csr.js';
import { openDevice } from '../../worker/devices/device-registry.js';
import { readNpyFloat32, readNpyInt32 } from '../support/npy-array.js';

/** Users ranked together: enough for full speed, few enough that their lists stay in the cache. */
const BATCH = 2048;

export interface RecommendAllRequest {
  dataset: string;
  device: string;
  threads: number;
  /** Folder with user_factors.npy, item_factors.npy and the peer's ids.npy. */
  folder: string;
  factors: number;
  /** How many items for each user. */
  n: number;
  /** The first users of the model. */
  users: number;
}

export interface RecommendAll {
  seconds: number;
  users: number;
  /** Share of the peer's recommendations that are ours too. */
  overlap: number;
}

const request = JSON.parse(process.argv[2]!) as RecommendAllRequest;
const { factors, n, users } = request;
const device = await openDevice(request.device, { threads: request.threads });
const seen = await (await openDataset(request.dataset)).loadCsr('users');
const userFactors = readNpyFloat32(path.join(request.folder, 'user_factors.npy'));
const itemFactors = readNpyFloat32(path.join(request.folder, 'item_factors.npy'));
const items = await device.createTable(itemFactors.length / factors, factors);
await device.write(items, 0, itemFactors);

const ids = new Int32Array(users * n);
const startMs = performance.now();
let next = 0;
async function lane(): Promise<void> {
  while (next < users) {
    const start = next;
    const end = Math.min(users, start + BATCH);
    next = end;
    const queries = userFactors.subarray(start * factors, end * factors);
    const top = await device.topN({ queries, items, n, exclude: csrSlice(seen, start, end) });
    ids.set(top.ids, start * n);
  }
}
await Promise.all([lane(), lane()]);
const seconds = (performance.now() - startMs) / 1000;
await device.dispose();
const answer: RecommendAll = {
  seconds,
  users,
  overlap: overlapOf(ids, readNpyInt32(path.join(request.folder, 'ids.npy'))),
};
process.stdout.write(`${JSON.stringify(answer)}\n`);

function overlapOf(ours: Int32Array, theirs: Int32Array): number {
  let common = 0;
  for (let at = 0; at < theirs.length; at += n) {
    const known = new Set(ours.subarray(at, at + n));
    for (const id of theirs.subarray(at, at + n)) if (known.has(id)) common++;
  }
  return common / theirs.length;
}
