// node:crypto with a memory, for tests that run thousands of rounds with the same keys: what OpenSSL once answered for the
// same bytes is not computed again. Use: vi.mock('node:crypto', async (original) => memoisedCrypto(await original())).

import type * as crypto from 'node:crypto';

/** The functions of key agreement and signatures remember; everything else is as it was. */
export function memoisedCrypto(real: typeof crypto): typeof crypto {
  const publicKeys = new Map<string, crypto.KeyObject>();
  const idsOfKeys = new WeakMap<crypto.KeyObject, string>();
  const idOf = (key: crypto.KeyObject): string => {
    let id = idsOfKeys.get(key);
    if (id === undefined) {
      const form = key.type === 'private' ? { type: 'pkcs8' as const } : { type: 'spki' as const };
      id = (key.export({ format: 'der', ...form }) as Buffer).toString('latin1');
      idsOfKeys.set(key, id);
    }
    return id;
  };
  const createPublicKey = remember(
    publicKeys,
    (key: crypto.PublicKeyInput | crypto.KeyObject) =>
      'type' in key && !('key' in key) ? idOf(key) : text(key.key),
    real.createPublicKey as (key: crypto.PublicKeyInput | crypto.KeyObject) => crypto.KeyObject,
  );
  const createPrivateKey = remember(
    new Map<string, crypto.KeyObject>(),
    (key: crypto.PrivateKeyInput) => text(key.key),
    real.createPrivateKey as (key: crypto.PrivateKeyInput) => crypto.KeyObject,
  );
  const secrets = remember(
    new Map<string, Buffer>(),
    // Both sides of a pair have the same secret; that they agree is tested where nothing is remembered.
    ({ privateKey, publicKey }: { privateKey: crypto.KeyObject; publicKey: crypto.KeyObject }) =>
      [idOf(createPublicKey(privateKey)), idOf(publicKey)].sort().join(),
    real.diffieHellman as (keys: { privateKey: crypto.KeyObject; publicKey: crypto.KeyObject }) => Buffer,
  );
  const sign = remember(
    new Map<string, Buffer>(),
    (_: null, data: Uint8Array, key: crypto.KeyObject) => text(data) + idOf(key),
    real.sign as (algorithm: null, data: Uint8Array, key: crypto.KeyObject) => Buffer,
  );
  const verify = remember(
    new Map<string, boolean>(),
    (_: null, data: Uint8Array, key: crypto.KeyObject, signature: Uint8Array) =>
      text(data) + text(signature) + idOf(key),
    real.verify as (
      algorithm: null,
      data: Uint8Array,
      key: crypto.KeyObject,
      signature: Uint8Array,
    ) => boolean,
  );
  const derived = remember(
    new Map<string, ArrayBuffer>(),
    (_: string, ...parts: [secret: Uint8Array, salt: Uint8Array, info: Uint8Array, bytes: number]) =>
      parts.slice(0, 3).map(text).join(),
    real.hkdfSync as (...args: [string, Uint8Array, Uint8Array, Uint8Array, number]) => ArrayBuffer,
  );
  // Callers wipe what they get.
  const hkdfSync = (...args: Parameters<typeof derived>) => derived(...args).slice(0);
  const diffieHellman = (keys: { privateKey: crypto.KeyObject; publicKey: crypto.KeyObject }) =>
    Buffer.from(secrets(keys));
  const replaced = { createPublicKey, createPrivateKey, diffieHellman, hkdfSync, sign, verify };
  return { ...real, ...replaced } as unknown as typeof crypto;
}

function remember<A extends unknown[], R>(
  known: Map<string, R>,
  keyOf: (...args: A) => string,
  compute: (...args: A) => R,
): (...args: A) => R {
  return (...args) => {
    const key = keyOf(...args);
    if (!known.has(key)) known.set(key, compute(...args));
    return known.get(key)!;
  };
}

function text(bytes: unknown): string {
  return Buffer.from(bytes as Uint8Array).toString('latin1');
}
