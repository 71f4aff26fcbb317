import { setImmediate } from 'node:timers/promises';
import type { Dataset } from '../../datasets/dataset.js';
import type { NegativeSampler } from '../../models/sgd/negative-sampler.js';
import type { SgdSettings } from '../../models/sgd/sgd-settings.js';
import { splitRows, validationLoss } from '../../models/sgd/validation.js';
import type { StepTables } from '../parameters/step-tables.js';

export interface Validated {
  data: Dataset;
  store: StepTables;
  settings: SgdSettings;
  split: { seed: number; share: number };
  sampler: NegativeSampler;
}

/** Mean loss of the held-out interactions, shard by shard so that calls are answered meanwhile. @throws {HolderLost}. */
export async function validateTables({ data, store, settings, split, sampler }: Validated): Promise<number> {
  const items = await store.kept('items');
  let loss = 0;
  let samples = 0;
  for (let index = 0; index < data.manifest.shards.users.length; index++) {
    const { rowStart, csr } = await data.loadShard('users', index);
    const heldOut = splitRows(csr, rowStart, split, 'validation');
    const users = await store.kept('users', { rowStart, rowEnd: rowStart + csr.rows });
    const sums = validationLoss(heldOut, csr, rowStart, { users, items }, { settings, sampler });
    loss += sums.loss;
    samples += sums.samples;
    await setImmediate();
  }
  return samples === 0 ? 0 : loss / samples;
}
