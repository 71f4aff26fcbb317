import path from 'node:path';
import { StateError } from '../../common/errors.js';
import { RUN_CONFIG_KEYS, type RunConfig } from '../plan/run-config.js';
import type { RunFolder } from './run-folder.js';

/** Settings that do not change what is computed: they may differ when a run goes on. */
const FREE_KEYS: readonly string[] = ['train.checkpoint_epochs', 'train.checkpoint_keep'];

/**
 * Refuses to go on from phases that were computed with other settings.
 *
 * @param before settings that a checkpoint was made with.
 * @throws {StateError} `STOA_RUN_STATE`: names the key that differs.
 */
export function requireSameSettings(
  before: Readonly<Record<string, unknown>>,
  now: RunConfig,
  folder: RunFolder,
): void {
  for (const key of RUN_CONFIG_KEYS) {
    if (FREE_KEYS.includes(key) || before[key] === undefined || before[key] === now[key]) continue;
    throw new StateError(
      'STOA_RUN_STATE',
      `${key} was changed from ${before[key]} to ${now[key]} after the first phases of ${folder.dir}; put it back in ${path.join(folder.dir, 'config.yaml')}, or train again`,
      { fields: { field: key, file: folder.dir } },
    );
  }
}
