// Interactions of a dataset as rows and columns of a model.

import type { Dataset } from '../datasets/dataset.js';
import type { Csr } from '../models/csr.js';

export interface AlignedInteractions {
  /** Users' rows, with the model's users and items. */
  interactions: Csr;
  /** Interactions with users or items that the model does not have. */
  dropped: number;
}

/** Reads a dataset by users and renumbers it for a model; nothing is renumbered when the ids are the same. */
export async function alignInteractions(
  dataset: Dataset,
  model: { userIds: readonly string[]; itemIds: readonly string[] },
): Promise<AlignedInteractions> {
  const csr = await dataset.loadCsr('users');
  const userRows = rowsOf(await dataset.userIds(), model.userIds);
  const itemRows = rowsOf(await dataset.itemIds(), model.itemIds);
  if (userRows === undefined && itemRows === undefined) return { interactions: csr, dropped: 0 };
  return renumber(csr, model, userRows, itemRows);
}

/** Where each id stands in the model, -1 when nowhere; undefined when both lists are the same. */
function rowsOf(ids: readonly string[], modelIds: readonly string[]): Int32Array | undefined {
  if (ids.length === modelIds.length && ids.every((id, row) => id === modelIds[row])) return undefined;
  const rows = new Map(modelIds.map((id, row) => [id, row]));
  return Int32Array.from(ids, (id) => rows.get(id) ?? -1);
}

function renumber(
  csr: Csr,
  model: { userIds: readonly string[]; itemIds: readonly string[] },
  userRows: Int32Array | undefined,
  itemRows: Int32Array | undefined,
): AlignedInteractions {
  const lists: number[][] = Array.from({ length: model.userIds.length }, () => []);
  let kept = 0;
  for (let row = 0; row < csr.rows; row++) {
    const user = userRows === undefined ? row : userRows[row]!;
    if (user < 0) continue;
    for (let at = csr.ptr[row]!; at < csr.ptr[row + 1]!; at++) {
      const item = itemRows === undefined ? csr.idx[at]! : itemRows[csr.idx[at]!]!;
      if (item < 0) continue;
      lists[user]!.push(item);
      kept++;
    }
  }
  const ptr = new Int32Array(model.userIds.length + 1);
  const idx = new Int32Array(kept);
  lists.forEach((list, user) => {
    idx.set(
      list.sort((a, b) => a - b),
      ptr[user]!,
    );
    ptr[user + 1] = ptr[user]! + list.length;
  });
  const interactions = { rows: model.userIds.length, cols: model.itemIds.length, ptr, idx };
  return { interactions, dropped: csr.idx.length - kept };
}
