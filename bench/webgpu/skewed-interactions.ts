import { createRandom } from '../../common/random.js';
import type { Csr } from '../../models/csr.js';

export interface Interactions {
  readonly byUser: Csr;
  readonly byItem: Csr;
}

/** Interactions where few items have most of them and users' numbers differ as much; every value is 1. */
export function skewedInteractions(o: {
  users: number;
  items: number;
  interactions: number;
  seed: number;
}): Interactions {
  const random = createRandom(o.seed);
  const mean = o.interactions / o.users;
  const ptr = new Int32Array(o.users + 1);
  const columns: number[][] = [];
  for (let user = 0; user < o.users; user++) {
    // Exponential lengths; items by their popularity, each once.
    const length = Math.min(Math.ceil(-mean * Math.log(1 - random.next())), Math.floor(o.items / 2));
    const picked = new Set<number>();
    while (picked.size < length) picked.add(Math.floor(o.items * random.next() ** 2));
    columns.push([...picked].sort((a, b) => a - b));
    ptr[user + 1] = ptr[user]! + picked.size;
  }
  const idx = new Int32Array(ptr[o.users]!);
  for (const [user, list] of columns.entries()) idx.set(list, ptr[user]!);
  const byUser = { rows: o.users, cols: o.items, ptr, idx };
  return { byUser, byItem: transpose(byUser) };
}

function transpose({ rows, cols, ptr, idx }: Csr): Csr {
  const starts = new Int32Array(cols + 1);
  for (const column of idx) starts[column + 1] = starts[column + 1]! + 1;
  for (let column = 0; column < cols; column++) starts[column + 1] = starts[column + 1]! + starts[column]!;
  const next = starts.slice();
  const turned = new Int32Array(idx.length);
  for (let row = 0; row < rows; row++) {
    for (let e = ptr[row]!; e < ptr[row + 1]!; e++) {
      const column = idx[e]!;
      turned[next[column]!] = row;
      next[column] = next[column]! + 1;
    }
  }
  return { rows: cols, cols: rows, ptr: starts, idx: turned };
}
