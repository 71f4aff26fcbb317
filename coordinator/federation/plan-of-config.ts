import { UsageError } from '../../common/errors.js';
import { checkPlan, type FederatedPlan } from '../../federation/protocol/federated-plan.js';
import { MEMBERS_MAX } from '../../federation/secure-aggregation/ring.js';
import { objectiveOf, type RunConfig } from '../plan/run-config.js';

/**
 * What participants of a run agree to, from its settings.
 *
 * @param participants that are waited for; more may join later.
 * @throws {UsageError} names the setting.
 */
export function planOfConfig(config: RunConfig, participants: number): FederatedPlan {
  if (config.model !== 'ials') {
    throw new UsageError('STOA_USAGE', `model ${config.model} does not train in a federation; choose ials`, {
      fields: { field: 'model' },
    });
  }
  const cohortMin = config['federated.cohort_min'];
  const epsilon = config['federated.epsilon'];
  const isMasked = config['federated.masking'];
  return checkPlan({
    version: 1,
    factors: config['ials.factors'],
    sweeps: config['train.epochs'],
    objective: objectiveOf(config),
    solver: {
      name: config['ials.solver'],
      cgSteps: config['ials.cg_steps'],
      block: Math.min(config['ials.block'], config['ials.factors']),
    },
    isMasked,
    cohortMin,
    cohortMax: Math.min(MEMBERS_MAX, Math.max(participants, cohortMin)),
    ...(epsilon === 0
      ? {}
      : {
          privacy: {
            epsilon,
            delta: config['federated.delta'],
            adjacency: 'add-remove' as const,
            rowsMax: config['federated.rows_max'],
            rowNormMax: config['federated.row_norm_max'],
            honestMin: isMasked ? config['federated.honest_min'] || cohortMin : 1,
          },
        }),
  });
}
