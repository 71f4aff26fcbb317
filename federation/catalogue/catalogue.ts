// The items that a federation trains on, and which row of its table each has. Names are ids where the catalogue is
// published, and keyed digests of ids where it is not (`itemDigests`); nothing here knows the difference.

import { createHash } from 'node:crypto';
import { DataError } from '../../common/errors.js';
import type { Csr } from '../../models/csr.js';

export interface Catalogue {
  /** Ascending by UTF-16 code units, each once: an item's row is its place. */
  readonly names: readonly string[];
  /** SHA-256 of the names with their lengths, hexadecimal: equal catalogues have equal ones. */
  readonly hash: string;
}

/** A catalogue of given names, in any order. */
export function catalogueOf(names: Iterable<string>): Catalogue {
  const sorted = [...new Set(names)].sort();
  const hash = createHash('sha256');
  for (const name of sorted) {
    const bytes = Buffer.from(name, 'utf8');
    hash.update(`${bytes.length}:`).update(bytes);
  }
  return { names: sorted, hash: hash.digest('hex') };
}

/**
 * The union of what participants have.
 *
 * @param lists      the names that each participant has.
 * @param holdersMin items that fewer participants have are left out: what only one has would show, by who named it, whose
 *   it is. @default 1, every item: one that a single participant has is trained on its data alone
 */
export function agreedCatalogue(lists: readonly (readonly string[])[], holdersMin = 1): Catalogue {
  const holders = new Map<string, number>();
  for (const list of lists) {
    for (const name of new Set(list)) holders.set(name, (holders.get(name) ?? 0) + 1);
  }
  return catalogueOf([...holders].filter(([, count]) => count >= holdersMin).map(([name]) => name));
}

/**
 * Which row of the catalogue each of a participant's items has; −1 where it has none.
 *
 * @throws {DataError} `STOA_DATA_MISMATCH`: two of its items have one name.
 */
export function catalogueRows(names: readonly string[], catalogue: Catalogue): Int32Array {
  const rows = new Map(catalogue.names.map((name, row) => [name, row]));
  const taken = new Set<string>();
  return Int32Array.from(names, (name) => {
    if (taken.has(name)) {
      throw new DataError('STOA_DATA_MISMATCH', `two items of the dataset have the name ${name}`, {
        fields: { found: name },
      });
    }
    taken.add(name);
    return rows.get(name) ?? -1;
  });
}

/**
 * A participant's interactions with the catalogue's items for columns: those with items outside it are left out, and a
 * user may be left with none.
 *
 * @param byUser columns are the participant's own items.
 * @param rows   see `catalogueRows`, [byUser.cols].
 */
export function alignInteractions(byUser: Csr, rows: Int32Array, catalogue: Catalogue): Csr {
  const ptr = new Int32Array(byUser.rows + 1);
  const idx: number[] = [];
  const values: number[] = [];
  for (let user = 0; user < byUser.rows; user++) {
    const entries = [];
    for (let e = byUser.ptr[user]!; e < byUser.ptr[user + 1]!; e++) {
      const item = rows[byUser.idx[e]!]!;
      if (item >= 0) entries.push({ item, value: byUser.values?.[e] ?? 1 });
    }
    entries.sort((a, b) => a.item - b.item);
    for (const { item, value } of entries) {
      idx.push(item);
      values.push(value);
    }
    ptr[user + 1] = idx.length;
  }
  return {
    rows: byUser.rows,
    cols: catalogue.names.length,
    ptr,
    idx: Int32Array.from(idx),
    values: byUser.values && Float32Array.from(values),
  };
}
