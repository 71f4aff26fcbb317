import { NumericError } from '../../common/errors.js';
import type { SgdSettings } from './sgd-settings.js';

/** Why a descent ended in what is no number. */
export function runAway({ model, learningRate }: SgdSettings): NumericError {
  return new NumericError(
    'STOA_NUMERIC_NOT_FINITE',
    `the factors of ${model} ran away from finite numbers; lower ${model}.learning_rate (${learningRate})`,
    { fields: { field: `${model}.learning_rate` } },
  );
}
