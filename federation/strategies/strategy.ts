// Gradient strategies, for comparison with the exact sums of federation/ials: participants descend on the items' rows at
// home, with their own users, and send how far they moved; the server moves the items by what they agree on.

/** What a participant minimises, as far as the items are concerned. It keeps its users to itself. */
export interface LocalTrainer {
  /** What its update counts for beside the others', > 0: its users, or its samples. */
  readonly weight: number;
  /** η of the next step, > 0. */
  readonly learningRate: number;
  /** One step of descent. @param items changed, f32 [items, columns]. */
  step(items: Float32Array): void;
}

export interface ItemStrategy {
  readonly name: 'fedavg' | 'fedprox' | 'fedadam';
  /**
   * A participant's round.
   *
   * @param items f32 [items, columns], not changed.
   * @returns [items × columns + 1]: weight × (rows after its steps − `items`), then its weight. Sums over participants are
   *   all that the server needs. Uploads take 8 bytes a number.
   */
  update(items: Float32Array, trainer: LocalTrainer): Float64Array;
  /** The server's step. @param items changed. @param sum of the updates of a cohort. */
  apply(items: Float32Array, sum: Float64Array): void;
  /** What a restart of the server goes on with, by name. */
  readonly state: Readonly<Record<string, Float64Array>>;
}

/** weight × (local − items), then the weight. */
export function weightedUpdate(items: Float32Array, local: Float32Array, weight: number): Float64Array {
  const update = new Float64Array(items.length + 1);
  for (let i = 0; i < items.length; i++) update[i] = weight * (local[i]! - items[i]!);
  update[items.length] = weight;
  return update;
}
