// Invitations: text that an institution is handed once, with which it joins a federation as the member it names.
//
// The text has the coordinator's address, the fingerprint of the federation's authority (so that the token is shown to
// nobody else) and a token of 256 random bits. The federation keeps a hash of the token only.

import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { AccessError, UsageError } from '../../common/errors.js';
import { MEMBER_ROLES, type MemberRole } from './access-table.js';

/** Bits that nobody guesses; a plain hash is enough for them, as it would not be for a password. */
export const TOKEN_BYTES = 32;
/** Names an invitation among those of a federation; no secret. */
export const INVITATION_ID_BYTES = 8;
const PREFIX = 'stoa-invitation-1.';
/** Text with a long host name has some 400 characters. */
const TEXT_LENGTH_MAX = 2048;

const invitationSchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  federation: z.string().min(1).max(63),
  /** SHA-256 of the authority's certificate, hexadecimal. */
  authority: z.string().regex(/^[0-9a-f]{64}$/),
  /** "HOST:PORT" of the coordinator. */
  address: z.string().min(1).max(300),
  name: z.string().min(1).max(63),
  role: z.enum(MEMBER_ROLES),
  /** For people: what counts is the federation's own record and clock. */
  expires: z.iso.datetime(),
  /** 32 bytes, base64url. */
  token: z.string().length(43),
});

/** What the invited institution holds. Secret because of its token. */
export type Invitation = z.infer<typeof invitationSchema>;

/** What the federation keeps of an invitation. */
export interface InvitationRecord {
  id: string;
  name: string;
  role: MemberRole;
  /** SHA-256 of the token, hexadecimal. */
  tokenHash: string;
  createTime: string;
  expireTime: string;
}

/** One line of text, with a checksum that finds a copy that was cut or mistyped. */
export function formatInvitation(invitation: Invitation): string {
  const body = Buffer.from(JSON.stringify(invitation)).toString('base64url');
  return `${PREFIX}${body}.${checksum(body)}`;
}

/** @throws {UsageError} `STOA_USAGE`: not an invitation, or not all of it. The text is not repeated: it is a secret. */
export function parseInvitation(text: string): Invitation {
  const [body = '', sum = '', ...rest] = text.trim().slice(PREFIX.length).split('.');
  const isWhole =
    text.length <= TEXT_LENGTH_MAX &&
    text.trim().startsWith(PREFIX) &&
    rest.length === 0 &&
    checksum(body) === sum;
  const parsed = isWhole ? invitationSchema.safeParse(jsonOf(body)) : undefined;
  if (parsed?.success !== true) {
    throw new UsageError(
      'STOA_USAGE',
      'this is not a whole invitation; copy all of the line that begins with "stoa-invitation-1."',
      { fields: { field: 'invitation' } },
    );
  }
  return parsed.data;
}

export function hashToken(token: string): string {
  return createHash('sha256').update(`stoa/invitation/v1\0${token}`).digest('hex');
}

/**
 * Whether who presents a token may use an invitation now. Only who has the token learns that it is expired.
 *
 * @param record absent: the federation has no such invitation.
 * @throws {AccessError} `STOA_ACCESS_INVITATION`; `fields.reason` is "unknown" or "expired".
 */
export function checkInvitation(
  record: InvitationRecord | undefined,
  token: string,
  now: Date,
): asserts record is InvitationRecord {
  const expected = Buffer.from(record?.tokenHash ?? '0'.repeat(64), 'hex');
  const isRight = timingSafeEqual(expected, Buffer.from(hashToken(token), 'hex'));
  if (record === undefined || !isRight) throw refusal('unknown');
  if (now.getTime() >= Date.parse(record.expireTime)) throw refusal('expired', record.expireTime);
}

/** @param reason "used": someone joined with it already, with another key. */
export function refusal(reason: 'unknown' | 'expired' | 'used', time = ''): AccessError {
  const sentence = {
    unknown: 'this federation has no such invitation; check that it is meant for this coordinator',
    expired: `this invitation expired at ${time}`,
    used: 'this invitation was used already; if that was not you, tell whoever runs the federation at once',
  }[reason];
  return new AccessError('STOA_ACCESS_INVITATION', `${sentence}; ask for a new one`, { fields: { reason } });
}

/** 32 bits are enough for mistakes; who means harm has the token to break, not this. */
function checksum(body: string): string {
  return createHash('sha256').update(`${PREFIX}${body}`).digest('hex').slice(0, 8);
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(Buffer.from(body, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}
