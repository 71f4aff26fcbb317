// What the first two pages of an LMDB file say of it, read without opening it. Layout of the `lmdb` package's store
// (its own version 2 of the format): a page header of 24 bytes, then magic, version, address, map size, two tables.

const PAGE_BYTES = 4096;
const MAGIC = 0xbeefc0de;
const MAGIC_AT = 24;
const ENTRIES_AT = 128;
const LAST_PAGE_AT = 144;
const META_BYTES = 160;

/** Counts that a store claims of itself: by them records that are missing without a trace are noticed. */
export interface StoreClaims {
  readonly records: number;
  readonly bytes: number;
}

/** The claims of the newer of the two meta pages; undefined when neither is one. */
export function storeClaims(bytes: Buffer): StoreClaims | undefined {
  let claims: StoreClaims | undefined;
  for (const page of [0, PAGE_BYTES]) {
    if (bytes.length < page + META_BYTES || bytes.readUInt32LE(page + MAGIC_AT) !== MAGIC) continue;
    const records = Number(bytes.readBigUInt64LE(page + ENTRIES_AT));
    const lastPage = Number(bytes.readBigUInt64LE(page + LAST_PAGE_AT));
    if (claims === undefined || records > claims.records) {
      claims = { records, bytes: (lastPage + 1) * PAGE_BYTES };
    }
  }
  return claims;
}
