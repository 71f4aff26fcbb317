// The models of a coordinator, whether it is asked or its state folder is read.

import { stat } from 'node:fs/promises';
import { systemClock } from '../common/clock.js';
import { NotFoundError, StateError } from '../common/errors.js';
import type { LoadedModel } from '../coordinator/registry/model-folder.js';
import type { ModelManifest } from '../coordinator/registry/model-manifest.js';
import type { Registry } from '../coordinator/registry/registry.js';
import type { ModelStatus__Output } from '../proto/generated/stoa/training/v1/ModelStatus.js';
import { type CoordinatorFlags, withTrainingClient } from './coordinator-flags.js';
import { endProcess } from './fatal-end.js';

/** One model, as `model ls --json` has it. */
export interface ModelEntry {
  version: string;
  run_id: string;
  promoted: boolean;
  /** ISO 8601, UTC. */
  create_time: string;
  users: number;
  items: number;
  factors: number;
  metrics?: unknown;
  /** Why it cannot be read. */
  problem?: string;
}

export interface ModelShelf {
  list(): Promise<ModelEntry[]>;
  promote(version: string): Promise<ModelEntry>;
  rollback(): Promise<ModelEntry>;
}

/** @param flags has `coordinator` or `state`. */
export function withModelShelf<T>(
  flags: CoordinatorFlags & { state?: string },
  work: (shelf: ModelShelf) => Promise<T>,
): Promise<T> {
  if (flags.coordinator === undefined) return onState(flags.state!, work);
  return withTrainingClient(flags.coordinator, flags, (client) =>
    work({
      list: async () => (await client.listModels()).map(entryOfStatus),
      promote: async (version) => entryOfStatus(await client.promote(version)),
      rollback: async () => entryOfStatus(await client.rollback()),
    }),
  );
}

async function onState<T>(stateDir: string, work: (shelf: ModelShelf) => Promise<T>): Promise<T> {
  const isThere = await stat(stateDir).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isThere) {
    throw new NotFoundError(
      'STOA_NOT_FOUND_FILE',
      `--state ${stateDir} is not a folder; give that of a coordinator`,
      {
        fields: { field: '--state', file: stateDir },
      },
    );
  }
  const { DISK_RESERVE_BYTES } = await import('../coordinator/journal/disk-guard.js');
  const { pino } = await import('pino');
  const { openStateFolder } = await import('../coordinator/state-folder.js');
  const state = await openStateFolder({
    dir: stateDir,
    diskReserveBytes: DISK_RESERVE_BYTES,
    clock: systemClock,
    log: pino({ level: 'silent' }),
    onFatal: endProcess,
  }).catch((error: unknown) => {
    throw askInstead(error);
  });
  try {
    return await work(shelfOf(state.registry));
  } finally {
    await state.close();
  }
}

/** A folder in use is that of a coordinator, which can be asked. */
function askInstead(error: unknown): unknown {
  if (!(error instanceof StateError) || error.code !== 'STOA_LOCKED') return error;
  const message = `${error.message}, or ask it with --coordinator HOST:PORT in place of --state`;
  return new StateError(error.code, message, { cause: error, fields: error.fields });
}

function shelfOf(registry: Registry): ModelShelf {
  return {
    list: async () =>
      (await registry.list()).map(({ version, isPromoted, manifest, problem }) => ({
        ...entryOfManifest(version, isPromoted, manifest),
        problem,
      })),
    promote: async (version) => entryOfModel(await registry.promote(version)),
    rollback: async () => entryOfModel(await registry.rollback()),
  };
}

function entryOfModel(model: LoadedModel): ModelEntry {
  return entryOfManifest(model.version, true, model.manifest);
}

function entryOfManifest(
  version: string,
  promoted: boolean,
  manifest: ModelManifest | undefined,
): ModelEntry {
  return {
    version,
    run_id: manifest?.lineage.runId ?? '',
    promoted,
    create_time: manifest?.createTime ?? '',
    users: manifest?.counts.users ?? 0,
    items: manifest?.counts.items ?? 0,
    factors: manifest?.counts.factors ?? 0,
    metrics: manifest?.metrics,
  };
}

function entryOfStatus(model: ModelStatus__Output): ModelEntry {
  const seconds = Number(model.createTime?.seconds ?? 0);
  return {
    version: model.version,
    run_id: model.runId,
    promoted: model.isPromoted,
    create_time: seconds === 0 ? '' : new Date(seconds * 1000).toISOString(),
    users: model.users,
    items: model.items,
    factors: model.factors,
    metrics: model.metricsJson === '' ? undefined : JSON.parse(model.metricsJson),
  };
}
