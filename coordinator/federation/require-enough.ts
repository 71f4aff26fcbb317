import { UsageError } from '../../common/errors.js';

/** @throws {UsageError} fewer are waited for than a sum needs. */
export function requireEnough(participants: number, cohortMin: number): void {
  if (participants >= cohortMin) return;
  throw new UsageError(
    'STOA_USAGE',
    `a sum is of ${cohortMin} participants at least and ${participants} are to take part; take more, or lower federated.cohort_min knowing that fewer hide less`,
    { fields: { field: 'federated.cohort_min' } },
  );
}
