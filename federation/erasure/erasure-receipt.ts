// What a participant gives a learner who was forgotten: a signed statement, which can be checked years later with
// nothing but the certificate of the federation's authority.

import { createHash, randomBytes, timingSafeEqual, verify, X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { CorruptError, messageOf } from '../../common/errors.js';

const hash = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * What is free of the learner.
 *
 * - `statistics`: what the participant sent in `round` and sends after it. The model started from factors that earlier
 *   rounds had made with the learner, and still follows from them, less with every round.
 * - `model`: all that the model follows from: it was trained from its seed on data without the learner, and has the
 *   bytes it would have if the learner had never been there. `round` is the first of that training.
 */
export const ERASURE_BASES = ['statistics', 'model'] as const;
export type ErasureBasis = (typeof ERASURE_BASES)[number];

const factsSchema = z.strictObject({
  schema_version: z.literal(1),
  /** Name of the federation, and SHA-256 of its authority's certificate. */
  federation: z.string().min(1).max(63),
  authority: hash,
  /** Who forgot: name of the member. */
  participant: z.string().min(1).max(63),
  /** Whom: `sealSubject` of the learner's id. The receipt names nobody. */
  subject: hash,
  run_id: z.string().min(1).max(128),
  /** First round that is free of the learner, as `basis` says. */
  round: z.int().min(1),
  basis: z.enum(ERASURE_BASES),
  /** First version of the model that this round, or this training, made; and SHA-256 of its items' factors. */
  model_version: z.string().min(1).max(128),
  item_factors: hash,
  /** When the learner's rows and factors were removed, and when the version was made. */
  erase_time: z.iso.datetime(),
  model_time: z.iso.datetime(),
});

const receiptSchema = factsSchema.extend({
  /** PEM of the participant's certificate. */
  certificate: z.string().max(4096),
  /** Ed25519 by the key of the certificate, base64. */
  signature: z.base64().length(88),
});

export type ErasureFacts = z.infer<typeof factsSchema>;
export type ErasureReceipt = z.infer<typeof receiptSchema>;

/** Of a subject's salt. */
export const SALT_BYTES = 32;

/** A salt for one receipt: it is the learner's to keep, and stands in no receipt. */
export function newSalt(): Uint8Array {
  return randomBytes(SALT_BYTES);
}

/** Names a learner to who has the salt, and to nobody else: ids are few enough to try. */
export function sealSubject(userId: string, salt: Uint8Array): string {
  return createHash('sha256').update('stoa/erased/v1\0').update(salt).update(userId, 'utf8').digest('hex');
}

/** Whether a receipt is about a learner. */
export function isAbout(receipt: ErasureReceipt, userId: string, salt: Uint8Array): boolean {
  return timingSafeEqual(Buffer.from(receipt.subject, 'hex'), Buffer.from(sealSubject(userId, salt), 'hex'));
}

/**
 * @param sign        Ed25519 with the key of the certificate.
 * @param certificate PEM.
 */
export function signReceipt(
  facts: ErasureFacts,
  { sign, certificate }: { sign: (statement: Uint8Array) => Uint8Array; certificate: string },
): ErasureReceipt {
  const signature = Buffer.from(sign(statementOf(factsSchema.parse(facts)))).toString('base64');
  return { ...facts, certificate, signature };
}

/**
 * Reads a receipt and checks it: signed by the key of its certificate, which the authority gave to the participant that
 * it names, and which was valid when the version was made.
 *
 * @param text      JSON.
 * @param authority PEM of the certificate of the federation's authority, from whoever reads the receipt.
 * @throws {CorruptError} `STOA_SIGNATURE`: any of this is not so; the message says what.
 */
export function readReceipt(text: string, authority: string): ErasureReceipt {
  const receipt = parse(text);
  const issuer = certificateIn(authority, 'the certificate of the authority cannot be read');
  const certificate = certificateIn(receipt.certificate, 'its certificate cannot be read');
  const issuerHash = createHash('sha256').update(issuer.raw).digest('hex');
  if (receipt.authority !== issuerHash) throw refused('it is of another federation');
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) {
    throw refused("its certificate is not one of the federation's authority");
  }
  if (certificate.subject !== `O=${receipt.federation}\nCN=${receipt.participant}`) {
    throw refused('its certificate is that of another member');
  }
  const madeAt = Date.parse(receipt.model_time);
  if (madeAt < Date.parse(certificate.validFrom) || madeAt > Date.parse(certificate.validTo)) {
    throw refused('its certificate was not valid when it was made');
  }
  if (Date.parse(receipt.erase_time) > madeAt) throw refused('the version is older than the erasure');
  const { certificate: _, signature, ...facts } = receipt;
  if (!verify(null, statementOf(facts), certificate.publicKey, Buffer.from(signature, 'base64'))) {
    throw refused('what it says is not what was signed');
  }
  return receipt;
}

/** The bytes that are signed: a label, then every field with its length, in the order of the schema. */
function statementOf(facts: ErasureFacts): Uint8Array {
  const parts = [Buffer.from('stoa/erasure-receipt/v1\0')];
  for (const name of Object.keys(factsSchema.shape) as (keyof ErasureFacts)[]) {
    const value = Buffer.from(String(facts[name]), 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32BE(value.length);
    parts.push(length, value);
  }
  return Buffer.concat(parts);
}

function parse(text: string): ErasureReceipt {
  try {
    return receiptSchema.parse(JSON.parse(text));
  } catch (error) {
    throw refused(`it is no receipt (${messageOf(error).replace(/\s+/g, ' ').slice(0, 120)})`);
  }
}

function certificateIn(pem: string, otherwise: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw refused(otherwise);
  }
}

function refused(why: string): CorruptError {
  return new CorruptError('STOA_SIGNATURE', `the receipt is not valid: ${why}`, { fields: { reason: why } });
}
