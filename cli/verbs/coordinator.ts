import { formatAddress, parseAddress } from '../../common/addresses.js';
import { interruptible, untilAborted } from '../interrupts.js';
import { addServerTlsFlags, type TlsFlags, tlsOf } from '../tls-flags.js';
import { addUnbuilt, required, toCommand } from '../verb.js';

interface Options extends TlsFlags {
  listen: string;
  state: string;
  http?: string;
  metrics?: string;
}

export const command = toCommand<Options>({
  name: 'coordinator',
  summary: 'Coordinate training runs and serve the promoted model',
  description:
    'Takes in datasets and runs, lends blocks to workers, keeps models, and serves the one that is promoted. All it ' +
    'must remember is in --state. Ctrl-C makes a checkpoint of a run in progress and leaves.',
  examples: ['stoa coordinator --listen 127.0.0.1:7070 --state coordinator-state --http 127.0.0.1:7080'],
  define: (command) => {
    command
      .addOption(required('--listen <host:port>', 'gRPC address; port 0 takes a free one'))
      .addOption(required('--state <dir>', 'folder of datasets, runs and models; made when it is not there'))
      .option('--http <host:port>', 'also answer REST there: /v1, /docs')
      .option('--metrics <host:port>', 'Prometheus metrics there: /metrics');
    addServerTlsFlags(command);
    addUnbuilt(command, { '--etcd <url>': 'this version runs one coordinator, without stand-ins' });
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
