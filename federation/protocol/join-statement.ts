import { joinBytes, label, textField } from '../secure-aggregation/byte-fields.js';

/** What a participant signs to join: "I am this name with this key, in this session, and you asked me just now." */
export function joinStatement(o: {
  /** Of the coordinator, 16 bytes, used once. */
  nonce: Uint8Array;
  /** Of the run, 16 bytes. */
  session: Uint8Array;
  name: string;
  /** Ed25519, 32 bytes. */
  identityKey: Uint8Array;
}): Uint8Array {
  return joinBytes([label('stoa/join/v1'), o.nonce, o.session, o.identityKey, textField(o.name)]);
}

/** Names that may stand in logs and file names. */
export const PARTICIPANT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
