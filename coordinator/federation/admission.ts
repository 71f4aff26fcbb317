/** Decides who may join a federation: by certificate, by a list, or anybody. */
export interface Admission {
  /**
   * @param who has shown that it holds the secret of `identityKey` (Ed25519, 32 bytes).
   * @throws {StoaError} `STOA_ACCESS`: it may not.
   */
  admit(who: { name: string; identityKey: Uint8Array }): void;
}

/** Whoever reaches the coordinator: for loopback, and for tests. */
export const admitAnyone: Admission = { admit: () => {} };
