// How the journal's records lie on disk, and how they are found and checked again. Each record carries a checksum over
// itself and the one before it, so that a record that is missing, altered or out of place ends the chain.

import { createHash } from 'node:crypto';

/** Begins every record. 0xff and 0xfe occur in no UTF-8 text, and so in no payload. */
const MAGIC = Buffer.from([0xff, 0x53, 0x74, 0x6f, 0x61, 0x4a, 0x31, 0xfe]);
const CHAIN_BYTES = 32;
/** Magic, sequence u32, length u32, chain. Little-endian. */
const HEADER_BYTES = MAGIC.length + 8 + CHAIN_BYTES;
/** A record holds one change; the state at the start of a term is the longest. */
const PAYLOAD_BYTES_MAX = 64 << 20;

/** Where a chain stands: the number of its records and the checksum over them. */
export interface ChainHead {
  /** 0 before the first record. */
  readonly sequence: number;
  readonly chain: Buffer;
}

/** What a term's chain begins from: records of one term do not continue another's. */
export function chainStart(term: number): ChainHead {
  return { sequence: 0, chain: createHash('sha256').update(`stoa-journal ${term}`).digest() };
}

/** The bytes of the record that continues a chain, and where the chain stands with it. */
export function encodeRecord(head: ChainHead, payload: Buffer): { bytes: Buffer; head: ChainHead } {
  const sequence = head.sequence + 1;
  const chain = chainAfter(head, payload);
  const bytes = Buffer.alloc(HEADER_BYTES + payload.length);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(sequence, MAGIC.length);
  bytes.writeUInt32LE(payload.length, MAGIC.length + 4);
  chain.copy(bytes, MAGIC.length + 8);
  payload.copy(bytes, HEADER_BYTES);
  return { bytes, head: { sequence, chain } };
}

export interface FoundRecords {
  /** Payloads of the whole records, in order from the first. */
  readonly payloads: readonly Buffer[];
  readonly head: ChainHead;
  /** Greatest sequence number that was seen, whole or not. */
  readonly sequenceSeen: number;
}

/**
 * Finds the records of a term in the bytes of a file, wherever they lie, and follows their chain from the first.
 *
 * A copy-on-write store leaves older copies of a record behind: any whole one will do. What does not continue the
 * chain is passed over; nothing after a gap is taken.
 */
export function findRecords(bytes: Buffer, term: number): FoundRecords {
  const candidates = candidatesIn(bytes);
  const payloads: Buffer[] = [];
  let head = chainStart(term);
  for (;;) {
    const next = candidates
      .get(head.sequence + 1)
      ?.find(({ payload, chain }) => chainAfter(head, payload).equals(chain));
    if (next === undefined) break;
    payloads.push(next.payload);
    head = { sequence: head.sequence + 1, chain: next.chain };
  }
  return { payloads, head, sequenceSeen: Math.max(head.sequence, ...candidates.keys()) };
}

interface Candidate {
  payload: Buffer;
  chain: Buffer;
}

function candidatesIn(bytes: Buffer): Map<number, Candidate[]> {
  const found = new Map<number, Candidate[]>();
  for (let at = bytes.indexOf(MAGIC); at >= 0; at = bytes.indexOf(MAGIC, at + 1)) {
    const start = at + HEADER_BYTES;
    if (start > bytes.length) break;
    const sequence = bytes.readUInt32LE(at + MAGIC.length);
    const length = bytes.readUInt32LE(at + MAGIC.length + 4);
    if (length > PAYLOAD_BYTES_MAX || start + length > bytes.length) continue;
    const candidate = {
      chain: bytes.subarray(at + MAGIC.length + 8, start),
      payload: bytes.subarray(start, start + length),
    };
    const same = found.get(sequence);
    if (same === undefined) found.set(sequence, [candidate]);
    else same.push(candidate);
  }
  return found;
}

function chainAfter({ sequence, chain }: ChainHead, payload: Buffer): Buffer {
  const numbers = Buffer.alloc(8);
  numbers.writeUInt32LE(sequence + 1, 0);
  numbers.writeUInt32LE(payload.length, 4);
  return createHash('sha256').update(chain).update(numbers).update(payload).digest();
}
