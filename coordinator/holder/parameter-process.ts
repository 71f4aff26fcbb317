// A parameter process: answers for its rows, finds a coordinator, stays with it, leaves when told to.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { formatAddress, type HostPort, parseAddress } from '../../common/addresses.js';
import { FencedError, messageOf, StateError, UsageError } from '../../common/errors.js';
import type { TlsOptions } from '../../common/grpc-security.js';
import { services } from '../../common/grpc-services.js';
import { startGrpcServer } from '../grpc-server.js';
import { HeldTables } from './held-tables.js';
import { stay } from './membership.js';
import type { StorageMaker } from './row-storage.js';
import { rowsService } from './rows-service.js';
import { tablesService } from './tables-service.js';

/** The Gram of 1024 factors, which comes with a result, and rows of 1 MiB. */
const MESSAGE_BYTES_MAX = 8 << 20;
/** First and longest pause between two tries to reach a coordinator. */
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 500;
/** Longer than a coordinator takes to restart, with its machine. */
const RECONNECT_MS = 10 * 60_000;
/** How long calls in progress may take once the process has left. */
const CALLS_MS = 2000;

export interface ParameterProcessOptions {
  /** Tried in turn. */
  coordinators: HostPort[];
  /** Address of this process; port 0 lets the system choose. */
  listen: HostPort;
  /** Where workers and the coordinator find it. @default the address it listens on */
  advertise?: HostPort;
  /** Shown to people; placement depends on it. */
  name: string;
  tls: TlsOptions;
  /** Where rows are kept. */
  storage: StorageMaker;
  log: Logger;
  /** Aborts when the process is to leave. */
  signal: AbortSignal;
  /** Called once the server answers. */
  onListening?: (address: HostPort) => void;
  /** How long to look for a coordinator that is not there. @default 10 minutes */
  reconnectForMs?: number;
}

/**
 * Holds rows until `signal` aborts, then leaves and resolves.
 *
 * @throws {SystemError} `STOA_UNREACHABLE`: no coordinator answered for `reconnectForMs`; {StateError} `STOA_VERSION`;
 *   errors of `startGrpcServer`.
 */
export async function runParameterProcess(options: ParameterProcessOptions): Promise<void> {
  const { listen, tls, log, storage } = options;
  const tables = new HeldTables(storage);
  const { TablesService, ParametersService } = services.parameters.v1;
  const server = await startGrpcServer({
    listen,
    tls,
    maxMessageBytes: MESSAGE_BYTES_MAX,
    services: [
      {
        name: 'stoa.parameters.v1.TablesService',
        definition: TablesService.service,
        implementation: { ...tablesService(tables, log) },
      },
      {
        name: 'stoa.parameters.v1.ParametersService',
        definition: ParametersService.service,
        implementation: { ...rowsService(tables, log) },
      },
    ],
  });
  for (const name of ['', 'stoa.parameters.v1.TablesService', 'stoa.parameters.v1.ParametersService']) {
    server.setServing(name, true);
  }
  options.onListening?.(server.address);
  try {
    await serveCoordinators(tables, formatAddress(options.advertise ?? server.address), options);
  } finally {
    await server.close(CALLS_MS);
    tables.release();
  }
}

async function serveCoordinators(
  tables: HeldTables,
  address: string,
  options: ParameterProcessOptions,
): Promise<void> {
  const { coordinators, signal, log, name, tls, reconnectForMs = RECONNECT_MS } = options;
  let lastJoinedMs = performance.now();
  let failures = 0;
  let turn = 0;
  let termLatest = 0;
  let next = coordinators[0]!;
  while (!signal.aborted) {
    const coordinator = next;
    next = coordinators[++turn % coordinators.length]!;
    try {
      await stay({
        coordinator,
        tls,
        name,
        address,
        signal,
        log,
        onJoined: ({ holderId, term }) => {
          if (term < termLatest) throw outdated(term, termLatest, coordinator);
          termLatest = term;
          tables.join(holderId, term);
        },
      });
      lastJoinedMs = performance.now();
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      const isFinal = error instanceof StateError || error instanceof UsageError;
      if (isFinal || performance.now() - lastJoinedMs > reconnectForMs) throw error;
      if (failures === 0) log.warn(`${messageOf(error)}; trying again`);
      failures++;
      next = leaderNamedBy(error) ?? next;
    }
    const longest = Math.min(
      BACKOFF_MS_MAX,
      BACKOFF_MS_MIN * 2 ** Math.floor(failures / coordinators.length),
    );
    await sleep(longest / 2 + (Math.random() * longest) / 2, undefined, { signal }).catch(() => {});
  }
}

/** The leader that a coordinator which does not lead names. */
function leaderNamedBy(error: unknown): HostPort | undefined {
  const leader = error instanceof FencedError ? error.fields['leader'] : undefined;
  return typeof leader === 'string' && leader !== '' ? parseAddress(leader, 'leader') : undefined;
}

function outdated(term: number, latest: number, coordinator: HostPort): FencedError {
  return new FencedError(
    'STOA_NOT_LEADER',
    `${formatAddress(coordinator)} believes to lead in term ${term}, which is over: term ${latest} has begun`,
    { fields: { leader: '' } },
  );
}
