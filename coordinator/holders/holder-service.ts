// Handlers of stoa.parameters.v1.HolderService: parameter processes join and stay.

import { parseAddress } from '../../common/addresses.js';
import { StateError, UsageError } from '../../common/errors.js';
import { STOA_VERSION } from '../../common/version.js';
import type { HolderServiceHandlers } from '../../proto/generated/stoa/parameters/v1/HolderService.js';
import type { RegisterHolderRequest__Output } from '../../proto/generated/stoa/parameters/v1/RegisterHolderRequest.js';
import type { RegisterHolderResponse } from '../../proto/generated/stoa/parameters/v1/RegisterHolderResponse.js';
import { type ErrorLog, unary } from '../grpc-errors.js';
import type { HolderRoster } from './holder-roster.js';

const NAME_BYTES_MAX = 128;

export function holderService(roster: HolderRoster, term: number, log: ErrorLog): HolderServiceHandlers {
  return {
    RegisterHolder: unary((request) => register(roster, term, request), log),
    HeartbeatHolder: unary(({ holderId, peakRssBytes }) => {
      roster.heartbeat(holderId, Number(peakRssBytes));
      return { isDraining: roster.isDraining };
    }, log),
    EndHolder: unary(async ({ holderId }) => {
      await roster.leave(holderId);
      return {};
    }, log),
  };
}

function register(
  roster: HolderRoster,
  term: number,
  { name, address, version }: RegisterHolderRequest__Output,
): RegisterHolderResponse {
  if (roster.isDraining) {
    throw new StateError(
      'STOA_DRAINING',
      'this coordinator is shutting down; register with another, or later',
    );
  }
  const bytes = Buffer.byteLength(name);
  if (bytes === 0 || bytes > NAME_BYTES_MAX) {
    throw new UsageError('STOA_USAGE', `name must have 1 to ${NAME_BYTES_MAX} bytes, it has ${bytes}`, {
      fields: { field: 'name' },
    });
  }
  if (version.split('.')[0] !== STOA_VERSION.split('.')[0]) {
    throw new StateError(
      'STOA_VERSION',
      `parameter process ${name} has version ${version}, this coordinator has ${STOA_VERSION}; run the same major version on both`,
    );
  }
  const { id: holderId } = roster.register(name, parseAddress(address, 'address'));
  const { heartbeatMs, sessionTimeoutMs } = roster.timing;
  return {
    holderId,
    term,
    heartbeatInterval: toDuration(heartbeatMs),
    sessionTimeout: toDuration(sessionTimeoutMs),
  };
}

function toDuration(ms: number): { seconds: number; nanos: number } {
  return { seconds: Math.floor(ms / 1000), nanos: Math.floor((ms % 1000) * 1e6) };
}
