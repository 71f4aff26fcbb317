// The errors that users of Stoa can meet. Each has a class, a stable code, an exit code and a gRPC status;
// docs/errors.md lists the codes with what to do. Our own mistakes are assertions, never one of these.

/** gRPC status names, as numbers of https://grpc.github.io/grpc/core/md_doc_statuscodes.html. */
const GRPC = {
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/**
 * Every code, with the exit code of the command line and the gRPC status.
 * A message may change, a code may not. `docs/errors.md` has one line for each; a test compares the two.
 */
export const ERROR_CODES = {
  STOA_USAGE: { exitCode: 2, grpcStatus: GRPC.INVALID_ARGUMENT },
  STOA_USAGE_UNKNOWN_KEY: { exitCode: 2, grpcStatus: GRPC.INVALID_ARGUMENT },
  STOA_USAGE_ADDRESS: { exitCode: 2, grpcStatus: GRPC.INVALID_ARGUMENT },
  STOA_DATA_FILE: { exitCode: 2, grpcStatus: GRPC.INVALID_ARGUMENT },
  STOA_DATA_COLUMN: { exitCode: 2, grpcStatus: GRPC.INVALID_ARGUMENT },
  STOA_DATA_ROWS: { exitCode: 2, grpcStatus: GRPC.INVALID_ARGUMENT },
  STOA_DATA_EMPTY: { exitCode: 2, grpcStatus: GRPC.INVALID_ARGUMENT },
  STOA_DATA_ENCODING: { exitCode: 2, grpcStatus: GRPC.INVALID_ARGUMENT },
  STOA_DATA_MISMATCH: { exitCode: 2, grpcStatus: GRPC.INVALID_ARGUMENT },
  STOA_SHAPE: { exitCode: 1, grpcStatus: GRPC.INVALID_ARGUMENT },
  STOA_NUMERIC_PIVOT: { exitCode: 1, grpcStatus: GRPC.INTERNAL },
  STOA_NUMERIC_NOT_FINITE: { exitCode: 1, grpcStatus: GRPC.INVALID_ARGUMENT },
  STOA_NUMERIC_BOUNDS: { exitCode: 1, grpcStatus: GRPC.INVALID_ARGUMENT },
  STOA_NUMERIC_NOT_POSITIVE: { exitCode: 1, grpcStatus: GRPC.INVALID_ARGUMENT },
  STOA_NUMERIC_RANGE: { exitCode: 1, grpcStatus: GRPC.INVALID_ARGUMENT },
  STOA_NOT_FOUND_FILE: { exitCode: 2, grpcStatus: GRPC.NOT_FOUND },
  STOA_NOT_FOUND_DATASET: { exitCode: 2, grpcStatus: GRPC.NOT_FOUND },
  STOA_NOT_FOUND_RUN: { exitCode: 2, grpcStatus: GRPC.NOT_FOUND },
  STOA_NOT_FOUND_MODEL: { exitCode: 2, grpcStatus: GRPC.NOT_FOUND },
  STOA_NOT_FOUND_ITEM: { exitCode: 2, grpcStatus: GRPC.NOT_FOUND },
  STOA_NOT_FOUND_USER: { exitCode: 2, grpcStatus: GRPC.NOT_FOUND },
  STOA_NOT_FOUND_FEDERATION: { exitCode: 2, grpcStatus: GRPC.NOT_FOUND },
  STOA_NOT_FOUND_MEMBER: { exitCode: 2, grpcStatus: GRPC.NOT_FOUND },
  STOA_ACCESS: { exitCode: 1, grpcStatus: GRPC.PERMISSION_DENIED },
  STOA_ACCESS_INVITATION: { exitCode: 1, grpcStatus: GRPC.UNAUTHENTICATED },
  STOA_ACCESS_CERTIFICATE: { exitCode: 1, grpcStatus: GRPC.UNAUTHENTICATED },
  STOA_ACCESS_REVOKED: { exitCode: 1, grpcStatus: GRPC.PERMISSION_DENIED },
  STOA_ACCESS_FEDERATION: { exitCode: 1, grpcStatus: GRPC.UNAUTHENTICATED },
  STOA_ACCESS_CLOCK: { exitCode: 1, grpcStatus: GRPC.UNAUTHENTICATED },
  STOA_NO_MODEL: { exitCode: 1, grpcStatus: GRPC.FAILED_PRECONDITION },
  STOA_NO_PARAMETERS: { exitCode: 1, grpcStatus: GRPC.FAILED_PRECONDITION },
  STOA_NO_PREVIOUS_MODEL: { exitCode: 1, grpcStatus: GRPC.FAILED_PRECONDITION },
  STOA_EXISTS: { exitCode: 2, grpcStatus: GRPC.FAILED_PRECONDITION },
  STOA_VERSION: { exitCode: 2, grpcStatus: GRPC.FAILED_PRECONDITION },
  STOA_RUN_STATE: { exitCode: 1, grpcStatus: GRPC.FAILED_PRECONDITION },
  STOA_SESSION_OVER: { exitCode: 1, grpcStatus: GRPC.ABORTED },
  STOA_LEASE_GONE: { exitCode: 1, grpcStatus: GRPC.ABORTED },
  STOA_CLOCK_GONE: { exitCode: 1, grpcStatus: GRPC.ABORTED },
  STOA_DEVICE: { exitCode: 1, grpcStatus: GRPC.FAILED_PRECONDITION },
  STOA_DEVICE_LOST: { exitCode: 1, grpcStatus: GRPC.FAILED_PRECONDITION },
  STOA_COHORT_TOO_SMALL: { exitCode: 1, grpcStatus: GRPC.FAILED_PRECONDITION },
  STOA_ERASURE: { exitCode: 1, grpcStatus: GRPC.FAILED_PRECONDITION },
  STOA_ROUND_REFUSED: { exitCode: 1, grpcStatus: GRPC.FAILED_PRECONDITION },
  STOA_ROUND_MESSAGE: { exitCode: 1, grpcStatus: GRPC.INVALID_ARGUMENT },
  STOA_ROUND_FAILED: { exitCode: 1, grpcStatus: GRPC.ABORTED },
  STOA_CHECKSUM: { exitCode: 2, grpcStatus: GRPC.DATA_LOSS },
  STOA_SIGNATURE: { exitCode: 2, grpcStatus: GRPC.DATA_LOSS },
  STOA_TORN: { exitCode: 2, grpcStatus: GRPC.DATA_LOSS },
  STOA_BUDGET: { exitCode: 1, grpcStatus: GRPC.FAILED_PRECONDITION },
  STOA_LEDGER_DAMAGED: { exitCode: 1, grpcStatus: GRPC.DATA_LOSS },
  STOA_AUDIT_DAMAGED: { exitCode: 1, grpcStatus: GRPC.DATA_LOSS },
  STOA_LEDGER_CHANGED: { exitCode: 1, grpcStatus: GRPC.ABORTED },
  STOA_DISK_FULL: { exitCode: 1, grpcStatus: GRPC.RESOURCE_EXHAUSTED },
  STOA_DISK_FAILED: { exitCode: 1, grpcStatus: GRPC.UNAVAILABLE },
  STOA_LOCKED: { exitCode: 1, grpcStatus: GRPC.FAILED_PRECONDITION },
  STOA_NOT_LEADER: { exitCode: 1, grpcStatus: GRPC.ABORTED },
  STOA_PORT_IN_USE: { exitCode: 2, grpcStatus: GRPC.FAILED_PRECONDITION },
  STOA_UNREACHABLE: { exitCode: 1, grpcStatus: GRPC.UNAVAILABLE },
  STOA_BUSY: { exitCode: 1, grpcStatus: GRPC.RESOURCE_EXHAUSTED },
  STOA_DRAINING: { exitCode: 1, grpcStatus: GRPC.UNAVAILABLE },
  STOA_DEADLINE: { exitCode: 1, grpcStatus: GRPC.DEADLINE_EXCEEDED },
  STOA_INTERNAL: { exitCode: 1, grpcStatus: GRPC.INTERNAL },
  STOA_UNIMPLEMENTED: { exitCode: 1, grpcStatus: GRPC.UNIMPLEMENTED },
  STOA_INTERRUPTED: { exitCode: 130, grpcStatus: GRPC.ABORTED },
  STOA_RUN_FAILED: { exitCode: 1, grpcStatus: GRPC.INTERNAL },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What a message cannot hold in one sentence, for programs: a file, a line, a field. */
export type ErrorFields = Readonly<Record<string, string | number | boolean | readonly string[]>>;

export interface StoaErrorOptions {
  /** Facts for programs; travels with gRPC details and `--json` errors. */
  fields?: ErrorFields;
  /** The error beneath, shown with `--verbose`. */
  cause?: unknown;
}

/**
 * An error that a user can understand and act on. The message is one sentence: what happened to which thing,
 * what was expected, what to do next.
 */
export class StoaError extends Error {
  readonly code: ErrorCode;
  readonly fields: ErrorFields;

  constructor(code: ErrorCode, message: string, options: StoaErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.fields = options.fields ?? {};
  }

  get exitCode(): number {
    return ERROR_CODES[this.code].exitCode;
  }

  get grpcStatus(): number {
    return ERROR_CODES[this.code].grpcStatus;
  }
}

/** Wrong flag, key or value; `fields.field` names it where there is one. */
export class UsageError extends StoaError {}
/** Input data are not what was expected; `fields` has file, line, expected, found. */
export class DataError extends StoaError {}
/** Lengths or sizes disagree. */
export class ShapeError extends StoaError {}
/** Not finite, or not positive definite; the message names the row. */
export class NumericError extends StoaError {}
/** No such file, dataset, run, model or item. */
export class NotFoundError extends StoaError {}
/** Who are you; not yours to do. */
export class AccessError extends StoaError {}
/** A right request at the wrong moment. */
export class StateError extends StoaError {}
/** Someone else holds it now: a lease, a session, a clock. */
export class FencedError extends StoaError {}
/** The device cannot do this; the message says what it lacks. */
export class DeviceError extends StoaError {}
/** It would spend or reveal more than was allowed. */
export class PrivacyError extends StoaError {}
/** A round that cannot go on as its protocol says: a message that does not belong there, shares that do not fit. */
export class RoundError extends StoaError {}
/** Bytes are not what was written; `fields.file` names the file. */
export class CorruptError extends StoaError {}
/** The machine beneath: disk full, port taken, peer gone. */
export class SystemError extends StoaError {}

/** Turns an unknown error into text, one line. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Checks what our own code promises; a failure is a bug of Stoa, not of the user. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`internal error: ${message}`);
}
