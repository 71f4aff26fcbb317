// The model that a participant has at the end of a run: its own learners, and the items of all.

import { parseRunConfig, type RunConfig } from '../coordinator/plan/run-config.js';
import { writeModel } from '../coordinator/registry/model-folder.js';
import type { ItemsTable } from '../datasets/dataset.js';
import type { FederatedPlan } from '../federation/protocol/federated-plan.js';
import type { ParticipantResult } from '../worker/participant/participant.js';

/** Errors as `writeModel`. */
export async function writeParticipantModel(dir: string, result: ParticipantResult): Promise<void> {
  const { data, catalogue, plan } = result;
  const { dataset } = data;
  await writeModel(dir, {
    version: result.runId,
    runId: result.runId,
    createTime: new Date(),
    config: configOfPlan(plan),
    datasetFingerprint: dataset.fingerprint,
    synthetic: dataset.manifest.synthetic,
    userIds: await dataset.userIds(),
    items: await itemsTable(result, data.idsOf(catalogue)),
    userFactors: result.users,
    itemFactors: result.items,
    history: result.byUser,
    devices: [result.device],
  });
}

/** What is known of the catalogue's items here; nothing of those that this participant does not have. */
async function itemsTable({ data, catalogue }: ParticipantResult, ids: string[]): Promise<ItemsTable> {
  const own = await data.dataset.items();
  const rows = new Map(data.names.map((name, row) => [name, row]));
  const pick = (column: readonly (string | null)[]) =>
    catalogue.names.map((name) => {
      const row = rows.get(name);
      return row === undefined ? null : column[row]!;
    });
  const columns = Object.fromEntries(
    Object.entries(own.columns).map(([name, column]) => [name, pick(column)]),
  );
  const { titles, categories } = own;
  return {
    ids,
    columns,
    ...(titles === undefined ? {} : { titles: pick(titles) }),
    ...(categories === undefined ? {} : { categories: pick(categories) }),
  };
}

function configOfPlan({
  objective,
  solver,
  factors,
  sweeps,
  isMasked,
  cohortMin,
  privacy,
}: FederatedPlan): RunConfig {
  return parseRunConfig({
    model: 'ials',
    'ials.objective': objective.objective,
    'ials.weights': objective.weights,
    'ials.factors': factors,
    'ials.regularization': objective.regularization,
    'ials.alpha0': objective.alpha0,
    'ials.alpha': objective.alpha,
    'ials.nu': objective.nu,
    'ials.solver': solver.name,
    'ials.cg_steps': solver.cgSteps,
    'ials.block': solver.block,
    'train.epochs': sweeps,
    'federated.masking': isMasked,
    'federated.cohort_min': cohortMin,
    ...(privacy === undefined
      ? {}
      : {
          'federated.epsilon': privacy.epsilon,
          'federated.delta': privacy.delta,
          'federated.honest_min': privacy.honestMin,
          'federated.rows_max': privacy.rowsMax,
          'federated.row_norm_max': privacy.rowNormMax,
        }),
  });
}
