import { formatAddress, parseAddress } from '../../common/addresses.js';
import type { StandIns } from '../../coordinator/coordinator.js';
import { endProcess } from '../fatal-end.js';
import { interruptible, untilAborted } from '../interrupts.js';
import { addParametersFlag, type ParametersFlag } from '../parameters-flag.js';
import { addServerTlsFlags, type TlsFlags, tlsOf } from '../tls-flags.js';
import { required, toCommand, wholeNumber } from '../verb.js';

interface Options extends TlsFlags, ParametersFlag {
  listen: string;
  state: string;
  http?: string;
  metrics?: string;
  diskReserve: number;
  etcd?: string;
  cluster: string;
  advertise?: string;
  leaderTtl: number;
}

/** Another coordinator takes over within this time and about a second; an etcd that stalls for longer costs one. */
const LEADER_TTL_SECONDS = 3;

function standInsOf({ etcd, cluster, advertise, leaderTtl }: Options): StandIns | undefined {
  if (etcd === undefined) return undefined;
  return {
    etcd,
    cluster,
    advertise: advertise === undefined ? undefined : parseAddress(advertise, '--advertise'),
    ttlSeconds: leaderTtl,
  };
}

export const command = toCommand<Options>({
  name: 'coordinator',
  summary: 'Coordinate training runs and serve the promoted model',
  description:
    'Takes in datasets and runs, lends blocks to workers, keeps models, and serves the one that is promoted. All it ' +
    'must remember is in --state. Ctrl-C makes a checkpoint of a run in progress and leaves.',
  examples: [
    'stoa coordinator --listen 127.0.0.1:7070 --state coordinator-state --http 127.0.0.1:7080',
    'stoa coordinator --listen 127.0.0.1:7071 --state coordinator-state --etcd http://127.0.0.1:2379',
  ],
  define: (command) => {
    command
      .addOption(required('--listen <host:port>', 'gRPC address; port 0 takes a free one'))
      .addOption(required('--state <dir>', 'folder of datasets, runs and models; made when it is not there'))
      .option('--http <host:port>', 'also answer REST there: /v1, /docs')
      .option('--metrics <host:port>', 'Prometheus metrics there: /metrics')
      .option(
        '--disk-reserve <megabytes>',
        'kept free on the disk: runs wait, and writes are refused, before it is full',
        wholeNumber('--disk-reserve', 1, 1_000_000),
        67,
      );
    addParametersFlag(
      command,
      'parameter processes that runs wait for and keep their tables in (default: those that are there)',
    );
    addServerTlsFlags(command);
    command
      .option('--etcd <url>', 'elect one leader of several coordinators; members of one etcd with commas')
      .option('--cluster <name>', 'with --etcd: coordinators of one name share a --state folder', 'default')
      .option(
        '--advertise <host:port>',
        'with --etcd: where workers and clients find this one (default: --listen)',
      )
      .option(
        '--leader-ttl <seconds>',
        'with --etcd: a leader that was silent for so long has lost its place',
        wholeNumber('--leader-ttl', 3, 600),
        LEADER_TTL_SECONDS,
      );
  },
  run: async ({ options, output }) => {
    const listen = parseAddress(options.listen, '--listen');
    const http = options.http === undefined ? undefined : parseAddress(options.http, '--http');
    const metrics = options.metrics === undefined ? undefined : parseAddress(options.metrics, '--metrics');
    const { startCoordinator } = await import('../../coordinator/coordinator.js');
    const { roleLogger } = await import('../logger.js');
    await interruptible(async (signal) => {
      const coordinator = await startCoordinator({
        listen,
        http,
        metrics,
        stateDir: options.state,
        tls: tlsOf(options),
        log: roleLogger(output, 'coordinator'),
        standIns: standInsOf(options),
        parameters: options.parameters,
        diskReserveBytes: options.diskReserve * 1e6,
        onFatal: endProcess,
      });
      try {
        const address = formatAddress(coordinator.address);
        output.answer(
          { address, state: options.state },
          () => `coordinator on ${address}; workers join with: stoa worker --coordinator ${address}`,
        );
        await untilAborted(signal);
      } finally {
        await coordinator.shutdown();
      }
    });
  },
});
