// How errors leave a server: StoaErrors as their gRPC status with details, bugs as INTERNAL without details.

import {
  type handleUnaryCall,
  Metadata,
  type ServerUnaryCall,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { type ErrorFields, messageOf, StoaError } from '../common/errors.js';
import {
  cutUtf8,
  encodeStatusDetails,
  MESSAGE_BYTES_MAX,
  STATUS_DETAILS_KEY,
  type StatusDetails,
} from '../common/grpc-details.js';

/** What an overloaded server asks its clients to wait: long enough to drain a full queue. */
const RETRY_AFTER_MS = 1000;

/** The part of a pino logger that is used here. */
export interface ErrorLog {
  error(fields: object, message: string): void;
}

const standardErrorLog: ErrorLog = {
  error: ({ err }: { err?: unknown }, message: string) =>
    console.error(`stoa: ${message}: ${messageOf(err)}`, err instanceof Error ? err.stack : ''),
};

/**
 * The gRPC error for any thrown value.
 *
 * A StoaError keeps its sentence; its code travels in the trailer `stoa-code`, its fields in
 * `grpc-status-details-bin`, with BadRequest on INVALID_ARGUMENT and RetryInfo on overload. A gRPC error passes. An
 * aborted call is CANCELLED. Everything else is a bug: it is logged and the client learns no more than INTERNAL.
 */
export function toServiceError(error: unknown, log: ErrorLog = standardErrorLog): ServiceError {
  if (error instanceof StoaError) return fromStoaError(error);
  if (isServiceError(error)) return error;
  if (error instanceof Error && error.name === 'AbortError') {
    return serviceError(status.CANCELLED, 'the call was cancelled', new Metadata());
  }
  log.error({ err: error }, 'a request failed by an internal error');
  return serviceError(
    status.INTERNAL,
    'internal error; the log of the server says more, please report it',
    new Metadata(),
  );
}

/** A unary handler from a function that returns or throws. */
export function unary<Request, Response>(
  handler: (request: Request, call: ServerUnaryCall<Request, Response>) => Promise<Response> | Response,
  log?: ErrorLog,
): handleUnaryCall<Request, Response> {
  return async (call, callback) => {
    let response: Response;
    try {
      response = await handler(call.request, call);
    } catch (error) {
      callback(toServiceError(error, log));
      return;
    }
    callback(null, response);
  };
}

function fromStoaError(error: StoaError): ServiceError {
  const details: StatusDetails = { code: error.code, fields: error.fields };
  if (error.grpcStatus === status.INVALID_ARGUMENT) {
    details.violations = [{ field: fieldOf(error.fields), description: error.message }];
  }
  if (error.code === 'STOA_BUSY') details.retryAfterMs = retryAfterMs(error.fields);
  const metadata = new Metadata();
  metadata.set('stoa-code', error.code);
  metadata.set(STATUS_DETAILS_KEY, encodeStatusDetails(error.grpcStatus, error.message, details));
  return serviceError(error.grpcStatus, cutUtf8(error.message, MESSAGE_BYTES_MAX), metadata);
}

function fieldOf(fields: ErrorFields): string {
  const field = fields['field'];
  return typeof field === 'string' ? field : '';
}

function retryAfterMs(fields: ErrorFields): number {
  const value = fields['retryAfterMs'];
  return typeof value === 'number' ? value : RETRY_AFTER_MS;
}

function serviceError(code: status, details: string, metadata: Metadata): ServiceError {
  return Object.assign(new Error(details), { code, details, metadata });
}

function isServiceError(error: unknown): error is ServiceError {
  const candidate = error as Partial<ServiceError> | null;
  return (
    error instanceof Error &&
    typeof candidate?.code === 'number' &&
    typeof candidate.details === 'string' &&
    candidate.metadata instanceof Metadata
  );
}
