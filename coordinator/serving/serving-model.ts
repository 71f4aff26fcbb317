// A loaded model with what answering needs besides: rows by id, items by popularity, item directions. Pure.

import { sharedFloat32 } from '../../common/shared-memory.js';
import type { LoadedModel } from '../registry/model-folder.js';

export interface ServingModel {
  readonly model: LoadedModel;
  readonly userRows: ReadonlyMap<string, number>;
  readonly itemRows: ReadonlyMap<string, number>;
  /** [items] item rows, most taken first, equal ones by row. */
  readonly popularRows: Int32Array;
  /** f32, row-major, [items, K]: item factors of length 1, without columns of biases; zero rows stay zero. */
  readonly itemDirections: Float32Array;
}

/** Cost: O(users + items·K + items·log items), once a model. */
export function prepareModel(model: LoadedModel): ServingModel {
  const popularRows = Int32Array.from({ length: model.items }, (_, row) => row);
  const counts = model.itemCounts;
  popularRows.sort((a, b) => counts[b]! - counts[a]! || a - b);
  return {
    model,
    userRows: rowsById(model.userIds),
    itemRows: rowsById(model.itemsTable.ids),
    popularRows,
    itemDirections: directionsOf(model, model.manifest.layout?.factors ?? model.factors),
  };
}

function rowsById(ids: readonly string[]): Map<string, number> {
  const rows = new Map<string, number>();
  ids.forEach((id, row) => {
    rows.set(id, row);
  });
  return rows;
}

function directionsOf({ itemFactors: table, items: rows, factors }: LoadedModel, used: number): Float32Array {
  const directions = sharedFloat32(rows * factors);
  for (let row = 0; row < rows; row++) {
    const start = row * factors;
    let squares = 0;
    for (let at = start; at < start + used; at++) squares += table[at]! * table[at]!;
    const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0;
    for (let at = start; at < start + used; at++) directions[at] = table[at]! * scale;
  }
  return directions;
}
