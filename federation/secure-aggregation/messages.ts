// What travels in a round. Members are named by their place in the cohort; byte strings have the lengths that are said.

/** Which round a message belongs to: one of another is refused. */
export interface RoundId {
  /** 16 bytes. */
  session: Uint8Array;
  round: bigint;
}

/** Step 1, to the server: fresh keys. */
export interface KeyAdvertisement extends RoundId {
  type: 'keys';
  member: number;
  /** X25519, 32 bytes: for the shares that members send each other. */
  sealKey: Uint8Array;
  /** X25519, 32 bytes: for the masks. */
  maskKey: Uint8Array;
  /** Ed25519, 64 bytes, by the member's identity. */
  signature: Uint8Array;
}

/** Step 1, to each member: who takes part. */
export interface KeyList extends RoundId {
  type: 'key-list';
  keys: KeyAdvertisement[];
}

/** Step 2, to the server: shares of the two secrets of a member, for each other one. */
export interface SealedShares extends RoundId {
  type: 'shares';
  member: number;
  /** SHA-256, 32 bytes: lets the server see that shares gave the right seed. */
  seedHash: Uint8Array;
  sealed: { to: number; bytes: Uint8Array }[];
}

/** Step 2, to each member: the shares for it, from all who shared. */
export interface ShareDelivery extends RoundId {
  type: 'share-delivery';
  /** All who shared, the receiver too, in increasing order. */
  sharers: number[];
  sealed: { from: number; bytes: Uint8Array }[];
}

/** Step 3, to the server: a piece of the masked words, in order. */
export interface MaskedChunk extends RoundId {
  type: 'masked';
  member: number;
  wordStart: number;
  /** Little-endian words of the ring. */
  bytes: Uint8Array;
}

/** Step 3, to each member: whose words all arrived. */
export interface SurvivorSet extends RoundId {
  type: 'survivors';
  /** In increasing order. */
  survivors: number[];
}

/** Step 4, to the server. */
export interface SurvivorSignature extends RoundId {
  type: 'signature';
  member: number;
  /** Ed25519, 64 bytes, of the survivor set. */
  signature: Uint8Array;
}

/** Step 4, to each member: what to uncover. */
export interface UnmaskRequest extends RoundId {
  type: 'unmask';
  survivors: number[];
  /** Who shared and is no survivor. */
  dropouts: number[];
  signatures: { member: number; signature: Uint8Array }[];
}

/** Step 4, to the server: of a survivor its seed's share, of a dropout its mask key's, of nobody both. */
export interface UnmaskShares extends RoundId {
  type: 'unmask-shares';
  member: number;
  seedShares: { of: number; share: Uint8Array }[];
  maskKeyShares: { of: number; share: Uint8Array }[];
}

export type ServerMessage = KeyList | ShareDelivery | SurvivorSet | UnmaskRequest;
export type MemberMessage = KeyAdvertisement | SealedShares | MaskedChunk | SurvivorSignature | UnmaskShares;
