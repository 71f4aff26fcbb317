/** Whether places of members come in increasing order, each once, and are all in `within`. */
export function isListWithin(list: readonly number[], within: ReadonlySet<number>): boolean {
  return list.every((member, n) => within.has(member) && (n === 0 || list[n - 1]! < member));
}

export function isSameList(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((member, n) => member === b[n]);
}
