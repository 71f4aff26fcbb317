// How errors arrive at a client: what a server of Stoa said, or what the network did, as StoaErrors.

import { type ServiceError, status } from '@grpc/grpc-js';
import {
  AccessError,
  CorruptError,
  DataError,
  DeviceError,
  ERROR_CODES,
  type ErrorCode,
  type ErrorFields,
  FencedError,
  NotFoundError,
  NumericError,
  PrivacyError,
  RoundError,
  ShapeError,
  StateError,
  StoaError,
  type StoaErrorOptions,
  SystemError,
  UsageError,
} from './errors.js';
import { decodeStatusDetails, STATUS_DETAILS_KEY } from './grpc-details.js';

type StoaErrorClass = new (code: ErrorCode, message: string, options?: StoaErrorOptions) => StoaError;

/** Classes by the beginning of the code. */
const CLASSES: readonly [prefix: string, errorClass: StoaErrorClass][] = [
  ['STOA_USAGE', UsageError],
  ['STOA_DATA', DataError],
  ['STOA_SHAPE', ShapeError],
  ['STOA_NUMERIC', NumericError],
  ['STOA_NOT_FOUND', NotFoundError],
  ['STOA_ACCESS_', AccessError],
  ['STOA_DEVICE', DeviceError],
  ['STOA_DEVICE_LOST', DeviceError],
  ['STOA_CHECKSUM', CorruptError],
  ['STOA_SIGNATURE', CorruptError],
  ['STOA_TORN', CorruptError],
  ['STOA_SESSION_OVER', FencedError],
  ['STOA_LEASE_GONE', FencedError],
  ['STOA_CLOCK_GONE', FencedError],
  ['STOA_NOT_LEADER', FencedError],
  ['STOA_BUDGET', PrivacyError],
  ['STOA_COHORT_TOO_SMALL', PrivacyError],
  ['STOA_ROUND_', RoundError],
  ['STOA_DISK_F', SystemError],
  ['STOA_PORT_IN_USE', SystemError],
  ['STOA_UNREACHABLE', SystemError],
  ['STOA_DEADLINE', SystemError],
  ['STOA_LOCKED', StateError],
  ['STOA_NO_', StateError],
  ['STOA_EXISTS', StateError],
  ['STOA_VERSION', StateError],
  ['STOA_RUN_STATE', StateError],
];

/** True for errors that a gRPC call fails with. */
export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && typeof (error as Partial<ServiceError>).code === 'number';
}

/**
 * The StoaError for a failed call: the code and fields that the server sent (`stoa-code`, ErrorInfo), else one that
 * fits the status. Fields arrive as text. A StoaError passes; what is no gRPC error is STOA_INTERNAL.
 *
 * @param address the server's, for the message of a server that cannot be reached.
 */
export function fromServiceError(error: unknown, address = 'the given address'): StoaError {
  if (error instanceof StoaError) return error;
  if (!isServiceError(error)) {
    const text = error instanceof Error ? error.message : String(error);
    return new StoaError('STOA_INTERNAL', `a call to ${address} failed: ${text}`, { cause: error });
  }
  const code = error.metadata?.get('stoa-code')[0]?.toString() ?? '';
  if (isErrorCode(code)) {
    return new (classOf(code))(code, error.details, { fields: fieldsOf(error), cause: error });
  }
  return fromStatus(error, address);
}

function fromStatus(error: ServiceError, address: string): StoaError {
  const options = { fields: { address }, cause: error };
  switch (error.code) {
    case status.UNAVAILABLE:
      return new SystemError(
        'STOA_UNREACHABLE',
        `no answer from ${address} (${error.details}); check that the server runs there and that its TLS settings match`,
        options,
      );
    case status.DEADLINE_EXCEEDED:
      return new SystemError(
        'STOA_DEADLINE',
        `${address} did not answer in time; try again, or allow more time`,
        options,
      );
    case status.CANCELLED:
      return new StoaError('STOA_INTERRUPTED', `the call to ${address} was cancelled`, options);
    case status.UNIMPLEMENTED:
      return new StoaError(
        'STOA_UNIMPLEMENTED',
        `${address} does not know this call: ${error.details}`,
        options,
      );
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
      return new SystemError('STOA_ACCESS', `${address} refused the call: ${error.details}`, options);
    case status.INVALID_ARGUMENT:
      return new UsageError('STOA_USAGE', error.details, options);
    case status.RESOURCE_EXHAUSTED:
      // The transport's own refusal of a message that is too large; waiting would not help.
      return /larger than max|metadata beyond/.test(error.details)
        ? new UsageError('STOA_USAGE', `${address}: ${error.details}`, options)
        : new StoaError('STOA_BUSY', `${address} is overloaded: ${error.details}`, options);
    default:
      return new StoaError('STOA_INTERNAL', `${address} failed: ${error.details}`, options);
  }
}

function fieldsOf(error: ServiceError): ErrorFields {
  const bytes = error.metadata.get(STATUS_DETAILS_KEY)[0];
  const details = bytes instanceof Buffer ? decodeStatusDetails(bytes) : undefined;
  if (details === undefined) return {};
  return details.retryAfterMs === undefined
    ? details.fields
    : { ...details.fields, retryAfterMs: details.retryAfterMs };
}

function classOf(code: ErrorCode): StoaErrorClass {
  return CLASSES.find(([prefix]) => code.startsWith(prefix))?.[1] ?? StoaError;
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}
