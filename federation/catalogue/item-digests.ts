import { createHmac } from 'node:crypto';
import { DataError } from '../../common/errors.js';

/** Bytes of a key: as many as SHA-256 has, so that guessing it is no easier than the digest. */
const KEY_BYTES_MIN = 32;

/**
 * Names items so that the coordinator can tell which are the same, and not what they are: HMAC-SHA-256 of each id under a
 * key that participants share and the coordinator does not have. Without a key the ids of a public catalogue would be
 * found by trying them all.
 *
 * @returns 64 hexadecimal digits for each id, in the order of `ids`.
 * @throws {DataError} `STOA_DATA_MISMATCH`: the key is shorter than 32 bytes.
 *
 * Source: RFC 2104; FIPS 198-1.
 */
export function itemDigests(ids: readonly string[], key: Uint8Array): string[] {
  if (key.length < KEY_BYTES_MIN) {
    throw new DataError(
      'STOA_DATA_MISMATCH',
      `the catalogue key has ${key.length} bytes where at least ${KEY_BYTES_MIN} were expected`,
      { fields: { expected: KEY_BYTES_MIN, found: key.length } },
    );
  }
  return ids.map((id) =>
    createHmac('sha256', key).update('item/v1').update('\0').update(id, 'utf8').digest('hex'),
  );
}
