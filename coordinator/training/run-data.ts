// The data of a run: opened, and checked against each other and against the configuration, before anything is done.

import { DataError, UsageError } from '../../common/errors.js';
import { type Dataset, openDataset } from '../../datasets/dataset.js';
import type { RunConfig } from '../plan/run-config.js';

export interface RunData {
  train: Dataset;
  test?: Dataset;
  foldIn?: Dataset;
}

/**
 * @throws {DataError} `STOA_DATA_EMPTY`, `STOA_DATA_MISMATCH`; {UsageError} weights by value without values; errors of
 *   `openDataset`.
 */
export async function openRunData(
  paths: { dataset: string; test?: string; foldIn?: string },
  config: RunConfig,
): Promise<RunData> {
  const train = await openDataset(paths.dataset);
  const { manifest } = train;
  if (manifest.interactions === 0) {
    throw new DataError(
      'STOA_DATA_EMPTY',
      `${paths.dataset} has no interactions; there is nothing to train on`,
      {
        fields: { file: paths.dataset },
      },
    );
  }
  if (config.model === 'mf' && !manifest.hasValues) {
    throw new UsageError(
      'STOA_USAGE',
      `model = mf learns ratings, which ${paths.dataset} does not have; import it with --value-col or train bpr`,
      { fields: { field: 'model' } },
    );
  }
  if (config.model !== 'ials' && paths.foldIn !== undefined) {
    throw new UsageError(
      'STOA_USAGE',
      `${config.model} has no factors for users it was not trained on; split with another strategy than strong, or train ials`,
      { fields: { field: 'model' } },
    );
  }
  if (config.model === 'ials' && config['ials.weights'] === 'value' && !manifest.hasValues) {
    throw new UsageError(
      'STOA_USAGE',
      `ials.weights = value needs values, which ${paths.dataset} does not have; import it with --value-col or use ials.weights = binary`,
      { fields: { field: 'ials.weights' } },
    );
  }
  const test = paths.test === undefined ? undefined : await openPart(paths.test, train);
  const foldIn = paths.foldIn === undefined ? undefined : await openPart(paths.foldIn, train);
  return { train, test, foldIn };
}

async function openPart(dir: string, train: Dataset): Promise<Dataset> {
  const part = await openDataset(dir);
  const { users, items } = part.manifest;
  const isSame =
    users === train.manifest.users &&
    items === train.manifest.items &&
    DICTIONARIES.every((file) => part.manifest.files[file]?.sha256 === train.manifest.files[file]?.sha256);
  if (isSame) return part;
  throw new DataError(
    'STOA_DATA_MISMATCH',
    `${dir} (${users} users, ${items} items) has other users or items than ${train.dir} (${train.manifest.users}, ${train.manifest.items}); give both parts of one "stoa data split"`,
    { fields: { file: dir } },
  );
}

/** Row → id of both sides: equal bytes mean equal rows. */
const DICTIONARIES = ['users.arrow', 'items.arrow'];
