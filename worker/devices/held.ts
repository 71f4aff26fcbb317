/** Memory that can shrink while it is read is copied; all other is read in place. */
export function held<T extends Float32Array | Float64Array | Int32Array | undefined>(array: T): T {
  const buffer = array?.buffer as { resizable?: boolean } | undefined;
  return buffer?.resizable === true ? (array!.slice() as T) : array;
}
