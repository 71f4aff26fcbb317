import type { RowHomes } from '../row-homes.js';

/** The items of one task that one parameter process has. */
export interface ItemsAt {
  /** Place of the process. */
  readonly place: number;
  /** Ascending. */
  readonly items: Int32Array;
  /** Where each of them stands in the task's list. */
  readonly at: Int32Array;
}

/** Items, ascending, by who has them; whoever has the block's users is among them, if only with no items. */
export function splitItems(homes: RowHomes, items: Int32Array, userRow: number): ItemsAt[] {
  const byPlace = new Map<number, number[]>([[homes.placeOf('users', userRow), []]]);
  items.forEach((item, at) => {
    const place = homes.placeOf('items', item);
    const own = byPlace.get(place);
    if (own === undefined) byPlace.set(place, [at]);
    else own.push(at);
  });
  return [...byPlace].map(([place, at]) => ({
    place,
    items: Int32Array.from(at, (n) => items[n]!),
    at: Int32Array.from(at),
  }));
}

/** Rows of a list: [at.length, columns]. */
export function pickRows(rows: Float32Array, at: Int32Array, columns: number): Float32Array {
  const picked = new Float32Array(at.length * columns);
  at.forEach((from, to) => {
    picked.set(rows.subarray(from * columns, (from + 1) * columns), to * columns);
  });
  return picked;
}

/** Puts rows that were picked back into their places. */
export function putRows(picked: Float32Array, at: Int32Array, columns: number, rows: Float32Array): void {
  at.forEach((to, from) => {
    rows.set(picked.subarray(from * columns, (from + 1) * columns), to * columns);
  });
}
