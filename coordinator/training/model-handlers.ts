import type { ModelStatus } from '../../proto/generated/stoa/training/v1/ModelStatus.js';
import type { TrainingServiceHandlers } from '../../proto/generated/stoa/training/v1/TrainingService.js';
import { type ErrorLog, unary } from '../grpc-errors.js';
import type { LoadedModel } from '../registry/model-folder.js';
import type { ModelManifest } from '../registry/model-manifest.js';
import type { Registry } from '../registry/registry.js';
import { pageOf } from './page.js';

export interface ModelShelf {
  registry: Registry;
  /** Serves another model from now on. */
  serve: (model: LoadedModel) => void;
}

type ModelHandlers = Pick<TrainingServiceHandlers, 'ListModels' | 'PromoteModel' | 'RollbackModel'>;

/** The part of the training service that is about models. */
export function modelHandlers({ registry, serve }: ModelShelf, log: ErrorLog): ModelHandlers {
  const serveAndDescribe = (model: LoadedModel) => {
    serve(model);
    return { model: modelStatus(model.version, true, model.manifest) };
  };
  return {
    ListModels: unary(async (request) => {
      const { page, nextPageToken } = pageOf(await registry.list(), ({ version }) => version, request);
      const models = page.map(({ version, isPromoted, manifest }) =>
        modelStatus(version, isPromoted, manifest),
      );
      return { models, nextPageToken };
    }, log),
    PromoteModel: unary(async ({ version }) => serveAndDescribe(await registry.promote(version)), log),
    RollbackModel: unary(async () => serveAndDescribe(await registry.rollback()), log),
  };
}

/** Counts are 0 where model.json cannot be read. */
function modelStatus(version: string, isPromoted: boolean, manifest: ModelManifest | undefined): ModelStatus {
  const createMs = manifest === undefined ? 0 : Date.parse(manifest.createTime);
  return {
    version,
    runId: manifest?.lineage.runId ?? '',
    isPromoted,
    createTime: { seconds: Math.floor(createMs / 1000), nanos: (createMs % 1000) * 1e6 },
    users: manifest?.counts.users ?? 0,
    items: manifest?.counts.items ?? 0,
    factors: manifest?.counts.factors ?? 0,
    metricsJson: manifest?.metrics === undefined ? '' : JSON.stringify(manifest.metrics),
  };
}
