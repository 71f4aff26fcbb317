// How errors leave the REST server: {code, message, field}, with the HTTP status that fits the gRPC one.

import { status } from '@grpc/grpc-js';
import type { FastifyReply } from 'fastify';
import { StoaError } from '../../common/errors.js';
import type { ErrorLog } from '../grpc-errors.js';

/** As google.rpc maps them, but FAILED_PRECONDITION: without a model a load balancer should look elsewhere. */
const HTTP_STATUS: Partial<Record<number, number>> = {
  [status.INVALID_ARGUMENT]: 400,
  [status.PERMISSION_DENIED]: 403,
  [status.NOT_FOUND]: 404,
  [status.ABORTED]: 409,
  [status.RESOURCE_EXHAUSTED]: 429,
  [status.UNIMPLEMENTED]: 501,
  [status.FAILED_PRECONDITION]: 503,
  [status.UNAVAILABLE]: 503,
  [status.DEADLINE_EXCEEDED]: 504,
};
const RETRY_AFTER_SECONDS = 1;

/** Answers any thrown value; a bug is logged and the client learns no more than that there was one. */
export function sendError(reply: FastifyReply, error: unknown, log: ErrorLog): FastifyReply {
  if (error instanceof StoaError) {
    const httpStatus = HTTP_STATUS[error.grpcStatus] ?? 500;
    if (httpStatus === 429 || httpStatus === 503) reply.header('retry-after', RETRY_AFTER_SECONDS);
    const field = error.fields['field'];
    return send(reply, httpStatus, error.code, error.message, typeof field === 'string' ? field : '');
  }
  // Errors of fastify itself: a body that is too large or not JSON, a URL that cannot be decoded.
  const { statusCode, message } = error as { statusCode?: number; message?: string };
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return send(reply, statusCode, 'STOA_USAGE', message ?? 'the request cannot be read', '');
  }
  log.error({ err: error }, 'a request failed by an internal error');
  return send(
    reply,
    500,
    'STOA_INTERNAL',
    'internal error; the log of the server says more, please report it',
    '',
  );
}

function send(
  reply: FastifyReply,
  httpStatus: number,
  code: string,
  message: string,
  field: string,
): FastifyReply {
  return reply.status(httpStatus).type('application/json').send({ code, message, field });
}
