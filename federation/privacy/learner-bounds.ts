// How much one learner can change what leaves an institution.
//
// A learner u adds to the sums of the items S_u alone, through the row x_u, weights w_ui and right-hand sides c_ui
// (models/ials/objective.ts). The row was solved from the learner's own entries and the items' factors, which everyone
// has: it does not depend on any other learner. So taking u away changes each sum by u's own terms, and by no others.
// Norms are Euclidean; a symmetric matrix is measured as its lower triangle with the entries off the diagonal times √2,
// which is its Frobenius norm, and is noised in that form. With the bounds
//
//   ‖x_u‖ <= G,    √(Σ_i w_ui²) <= W√k,    √(Σ_i c_ui²) <= WR√k
//
//   statistics  A_i = Σ_u w x xᵀ:      √(Σ_i w² ‖x‖⁴)            <= W G² √k
//   targets     b_i = Σ_u c x:         √(Σ_i c² ‖x‖²)            <= W R G √k
//   gram        XᵀX over all users:    ‖x xᵀ‖                    =  ‖x‖² <= G²
//   cgProduct   Σ_u w x (xᵀp_i):       √(Σ_i w² ‖x‖² (xᵀp_i)²)   <= W G² P √k,  ‖p_i‖ <= P for every item
//   residual    Σ_u w x e_ui:          √(Σ_i w² ‖x‖² e²)         <= W E G √k,   |e_ui| clipped to E
//   itemCounts  Σ_u a_ui on S_u:       √(Σ_i a²)                 <= √k,         a = min(1, √(k/|S_u|))
//   learnerCount, and a sum of one metric in [0, 1] per learner: 1
//
// Entries of several items lie in different coordinates of the sum, which is why k stands under a root. Blocks of
// dimensions π (`ials++`) of one sweep belong together: Σ_π ‖x_π‖² = ‖x‖², and Σ_π ‖x_π‖⁴ <= ‖x‖⁴, so that all blocks
// of a sweep cost what one release of the whole would, though the residuals of a later block depend on noise of an
// earlier one: for a given learner the shares of the blocks are fixed by x, whatever the server makes of the answers.

import { UsageError } from '../../common/errors.js';

/** What holds for every learner of every institution; part of the round that a participant agrees to. */
export interface LearnerBounds {
  /** k: rows that one learner can weigh in with, fully; whole, >= 1. */
  readonly rowsMax: number;
  /** G: norm of a learner's factors, > 0. */
  readonly rowNormMax: number;
  /** W: weight of an interaction, > 0. 1 for binary data. */
  readonly weightMax: number;
  /** R: |c| / W, > 0. 1 for `ials`. */
  readonly targetMax: number;
  /** P: norm of a direction of conjugate gradients of one item, > 0; the server scales to it. @default 1 */
  readonly directionNormMax?: number;
  /** E: |error| of one interaction within residual sums, > 0. @default 1 + R */
  readonly residualMax?: number;
}

export const RELEASE_KINDS = [
  'statistics',
  'targets',
  'gram',
  'cgProduct',
  'residual',
  'itemCounts',
  'learnerCount',
  'metric',
] as const;

/** What a sum holds. */
export type ReleaseKind = (typeof RELEASE_KINDS)[number];

/** Greatest change of each sum by one learner that comes or goes; derived above. */
export function sensitivitiesOf(bounds: LearnerBounds): Readonly<Record<ReleaseKind, number>> {
  requireBounds(bounds);
  const { rowsMax, rowNormMax: g, weightMax: w, targetMax: r } = bounds;
  const root = Math.sqrt(rowsMax);
  return {
    statistics: w * g * g * root,
    targets: w * r * g * root,
    gram: g * g,
    cgProduct: w * g * g * (bounds.directionNormMax ?? 1) * root,
    residual: w * residualMaxOf(bounds) * g * root,
    itemCounts: root,
    learnerCount: 1,
    metric: 1,
  };
}

/** E. */
export function residualMaxOf({ residualMax, targetMax }: LearnerBounds): number {
  return residualMax ?? 1 + targetMax;
}

/** @throws {UsageError} a bound is no number of its range; the message names it. */
export function requireBounds(bounds: LearnerBounds): void {
  for (const [name, value] of Object.entries(bounds)) {
    const isGood = value > 0 && Number.isFinite(value) && (name !== 'rowsMax' || Number.isInteger(value));
    if (value !== undefined && !isGood) {
      const expected = name === 'rowsMax' ? 'a whole number of at least 1' : 'a finite number above 0';
      throw new UsageError('STOA_USAGE', `${name} is ${value}: ${expected} was expected`, {
        fields: { field: name },
      });
    }
  }
}
