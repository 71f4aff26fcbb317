// The machine-readable part of an error on the wire: google.rpc.Status in the trailer `grpc-status-details-bin`.

import path from 'node:path';
import { type GrpcObject, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import type { BadRequest, BadRequest__Output } from '../proto/generated/google/rpc/BadRequest.js';
import type { ErrorInfo, ErrorInfo__Output } from '../proto/generated/google/rpc/ErrorInfo.js';
import type { RetryInfo, RetryInfo__Output } from '../proto/generated/google/rpc/RetryInfo.js';
import type { Status, Status__Output } from '../proto/generated/google/rpc/Status.js';
import type { ErrorFields } from './errors.js';
import { packageRoot } from './package-root.js';

/** Trailer that gRPC clients of every language read rich errors from. */
export const STATUS_DETAILS_KEY = 'grpc-status-details-bin';

/** Trailers beyond 8 KB are refused by several clients; message, copy of the message and facts stay below it. */
export const MESSAGE_BYTES_MAX = 1024;
const FIELD_BYTES_MAX = 256;
const FIELDS_MAX = 8;

const TYPE_PREFIX = 'type.googleapis.com/google.rpc.';
const ERROR_DOMAIN = 'stoa';

interface RpcMessages {
  Status: MessageTypeDefinition<Status, Status__Output>;
  ErrorInfo: MessageTypeDefinition<ErrorInfo, ErrorInfo__Output>;
  BadRequest: MessageTypeDefinition<BadRequest, BadRequest__Output>;
  RetryInfo: MessageTypeDefinition<RetryInfo, RetryInfo__Output>;
}

const { rpc } = (
  loadPackageDefinition(
    loadSync(['google/rpc/status.proto', 'google/rpc/error_details.proto'], {
      includeDirs: [path.join(packageRoot, 'proto')],
      longs: Number,
      enums: String,
      defaults: true,
      oneofs: true,
    }),
  ) as GrpcObject
)['google'] as unknown as { rpc: RpcMessages };

export interface StatusDetails {
  /** The stable code, e.g. "STOA_USAGE". */
  code: string;
  /** Facts by name. Numbers and lists travel as JSON text and arrive as text. */
  fields: ErrorFields;
  /** Wrong fields of the request. */
  violations?: readonly { field: string; description: string }[];
  /** How long to wait before the next try. */
  retryAfterMs?: number;
}

/** Packs details for `grpc-status-details-bin`; what is longer than the bounds above is cut. */
export function encodeStatusDetails(status: number, message: string, details: StatusDetails): Buffer {
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(details.fields).slice(0, FIELDS_MAX)) {
    metadata[name] = cutUtf8(typeof value === 'string' ? value : JSON.stringify(value), FIELD_BYTES_MAX);
  }
  const packed = [
    any('ErrorInfo', rpc.ErrorInfo.serialize({ reason: details.code, domain: ERROR_DOMAIN, metadata })),
  ];
  if (details.violations !== undefined) {
    const fieldViolations = details.violations.slice(0, FIELDS_MAX).map(({ field, description }) => ({
      field: cutUtf8(field, FIELD_BYTES_MAX),
      description: cutUtf8(description, MESSAGE_BYTES_MAX),
    }));
    packed.push(any('BadRequest', rpc.BadRequest.serialize({ fieldViolations })));
  }
  if (details.retryAfterMs !== undefined) {
    const seconds = Math.floor(details.retryAfterMs / 1000);
    const nanos = Math.round((details.retryAfterMs - seconds * 1000) * 1e6);
    packed.push(any('RetryInfo', rpc.RetryInfo.serialize({ retryDelay: { seconds, nanos } })));
  }
  return rpc.Status.serialize({
    code: status,
    message: cutUtf8(message, MESSAGE_BYTES_MAX),
    details: packed,
  });
}

/** Unpacks what `encodeStatusDetails` packed; undefined when the bytes are not that. */
export function decodeStatusDetails(bytes: Buffer): StatusDetails | undefined {
  try {
    let result: StatusDetails | undefined;
    for (const { type_url, value } of rpc.Status.deserialize(bytes).details) {
      const type = type_url.startsWith(TYPE_PREFIX) ? type_url.slice(TYPE_PREFIX.length) : '';
      if (type === 'ErrorInfo') {
        const info = rpc.ErrorInfo.deserialize(value);
        if (info.domain === ERROR_DOMAIN) result = { code: info.reason, fields: { ...info.metadata } };
      } else if (type === 'BadRequest' && result !== undefined) {
        result.violations = rpc.BadRequest.deserialize(value).fieldViolations;
      } else if (type === 'RetryInfo' && result !== undefined) {
        const delay = rpc.RetryInfo.deserialize(value).retryDelay;
        if (delay !== null) result.retryAfterMs = delay.seconds * 1000 + delay.nanos / 1e6;
      }
    }
    return result;
  } catch {
    return undefined;
  }
}

/** The text's first `bytesMax` bytes of UTF-8, ended by an ellipsis where something was cut. Always well formed. */
export function cutUtf8(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return bytes.toString();
  let end = bytesMax - 3;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return `${bytes.toString('utf8', 0, end)}…`;
}

function any(type: string, value: Buffer): { type_url: string; value: Buffer } {
  return { type_url: TYPE_PREFIX + type, value };
}
