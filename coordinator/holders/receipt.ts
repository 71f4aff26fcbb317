// What a parameter process gives for rows that it has taken in, and what the coordinator believes: only whoever was told
// the secret of the tables can have signed it. A process that has lost its rows was never told the secret of the next
// tables, so that a late receipt counts for nothing.

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Side } from '../../models/csr.js';

/** Bytes of the secret that a generation of tables is opened with. */
export const SECRET_BYTES = 32;

/** The result that rows belong to. */
export interface ReceiptSubject {
  /** Id of the process, which nobody else knows. */
  readonly holderId: string;
  readonly runId: string;
  readonly leaseId: number;
  readonly side: Side;
  readonly block: number;
  readonly clock: number;
  /** CRC-32C of the rows. */
  readonly digest: number;
}

export function signReceipt(secret: Uint8Array, subject: ReceiptSubject): Buffer {
  const { holderId, runId, leaseId, side, block, clock, digest } = subject;
  return createHmac('sha256', secret)
    .update(JSON.stringify([holderId, runId, leaseId, side, block, clock, digest]))
    .digest();
}

export function isSigned(secret: Uint8Array, subject: ReceiptSubject, signature: Uint8Array): boolean {
  const expected = signReceipt(secret, subject);
  return signature.length === expected.length && timingSafeEqual(signature, expected);
}
