// A parameter process and one coordinator: it joins, its heartbeats keep its place, it leaves.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { formatAddress, type HostPort } from '../../common/addresses.js';
import { FencedError, messageOf } from '../../common/errors.js';
import { GrpcLink, LINK_OPTIONS } from '../../common/grpc-link.js';
import { channelCredentials, type TlsOptions } from '../../common/grpc-security.js';
import { services } from '../../common/grpc-services.js';
import { STOA_VERSION } from '../../common/version.js';
import type { Duration__Output } from '../../proto/generated/google/protobuf/Duration.js';

/** How long the coordinator may take to save what only this process has. */
const GOODBYE_MS = 10_000;

const HOLDERS = services.parameters.v1.HolderService.service;

export interface MembershipOptions {
  coordinator: HostPort;
  tls: TlsOptions;
  name: string;
  /** "HOST:PORT" where this process is reached. */
  address: string;
  log: Logger;
  /** The process is to leave. */
  signal: AbortSignal;
  /** The coordinator has given this process a place. Not called again. */
  onJoined: (place: { holderId: string; term: number }) => void;
}

/**
 * Stays until `signal` aborts, then leaves; or until the coordinator ends it or falls silent.
 *
 * @throws {SystemError} the coordinator cannot be reached to join; {StateError} `STOA_VERSION`; what `onJoined` throws.
 */
export async function stay(options: MembershipOptions): Promise<void> {
  const { coordinator, tls, name, address, signal, log, onJoined } = options;
  const link = new GrpcLink(coordinator);
  const credentials = channelCredentials(coordinator.host, tls);
  const client = new services.parameters.v1.HolderService(
    formatAddress(coordinator),
    credentials,
    LINK_OPTIONS,
  );
  try {
    const request = { name, address, version: STOA_VERSION };
    const joined = await link.call(client, HOLDERS.RegisterHolder, request, { signal });
    const { holderId } = joined;
    onJoined({ holderId, term: Number(joined.term) });
    log.info({ coordinator: link.target, address }, 'joined');
    const heartbeatMs = toMs(joined.heartbeatInterval);
    const timeoutMs = toMs(joined.sessionTimeout);
    let lastHeardMs = performance.now();
    const beat = (options: { signal?: AbortSignal } = {}) => {
      const peakRssBytes = process.resourceUsage().maxRSS * 1024;
      const message = { holderId, peakRssBytes };
      return link.call(client, HOLDERS.HeartbeatHolder, message, { ...options, timeoutMs: timeoutMs / 2 });
    };
    while (!signal.aborted) {
      try {
        const { isDraining } = await beat({ signal });
        lastHeardMs = performance.now();
        if (isDraining) {
          log.info('the coordinator is shutting down');
          return;
        }
      } catch (error) {
        const isSilent = performance.now() - lastHeardMs > timeoutMs;
        if (!signal.aborted && (error instanceof FencedError || isSilent)) {
          log.warn(`the coordinator has given this process up: ${messageOf(error)}`);
          return;
        }
      }
      await sleep(heartbeatMs, undefined, { signal }).catch(() => {});
    }
    // Saving what only this process has may take longer than its silence would be borne.
    const beating = setInterval(() => beat().catch(() => {}), heartbeatMs);
    try {
      await link.call(client, HOLDERS.EndHolder, { holderId }, { timeoutMs: GOODBYE_MS });
    } catch {
      // Its place ends by its timeout.
    } finally {
      clearInterval(beating);
    }
  } finally {
    client.close();
  }
}

function toMs(duration: Duration__Output | null): number {
  return duration === null ? 0 : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
