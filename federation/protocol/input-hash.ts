import { hashOf, label, u32be } from '../secure-aggregation/byte-fields.js';

/**
 * What participants compute a round's sum from, besides their own data: hashes of the catalogue, of the items' factors,
 * and of what is multiplied. It goes into the masks, so that participants who were given different tables make noise.
 */
export function inputHash(o: {
  catalogue: Uint8Array;
  /** Absent in a census. */
  items?: Uint8Array;
  /** Absent where nothing is multiplied. */
  operand?: Uint8Array;
}): Uint8Array {
  const parts = [o.catalogue, o.items ?? new Uint8Array(0), o.operand ?? new Uint8Array(0)];
  return hashOf([label('stoa/input/v1'), ...parts.flatMap((part) => [u32be(part.length), part])]);
}

/** SHA-256 of a table's numbers as they lie: little-endian f32. */
export function tableHash(table: Float32Array): Uint8Array {
  return hashOf([label('stoa/table/v1'), new Uint8Array(table.buffer, table.byteOffset, table.byteLength)]);
}
