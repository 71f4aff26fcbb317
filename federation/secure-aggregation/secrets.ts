import { timingSafeEqual } from 'node:crypto';

/** Bytes of a key, a seed or a hash. */
export const SECRET_BYTES = 32;

/** Bytes that nobody can guess; `node:crypto`'s `randomBytes` where secrets are real. */
export type RandomBytes = (length: number) => Uint8Array;

/** Compares in a time that depends on the lengths alone: the one comparison of bytes in this folder, secret or not. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Overwrites secrets that are no longer needed. */
export function wipe(...secrets: readonly (Uint8Array | BigUint64Array | undefined)[]): void {
  for (const secret of secrets) {
    if (secret instanceof BigUint64Array) secret.fill(0n);
    else secret?.fill(0);
  }
}
