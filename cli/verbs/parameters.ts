import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import { formatAddress, parseAddress, parseAddresses } from '../../common/addresses.js';
import { UsageError } from '../../common/errors.js';
import type { StorageMaker } from '../../coordinator/holder/row-storage.js';
import { interruptible } from '../interrupts.js';
import { type TlsFlags, tlsOf } from '../tls-flags.js';
import { required, toCommand } from '../verb.js';

interface Options extends TlsFlags {
  coordinator: string;
  listen: string;
  advertise?: string;
  name: string;
  spill?: string;
}

/** Addresses that say where to listen and not where to be found. */
const ANYWHERE = ['0.0.0.0', '::'];

export const command = toCommand<Options>({
  name: 'parameters',
  summary: 'Keep parameter tables apart from the coordinator',
  description:
    "Holds rows of a run's tables, so that tables may be larger than one machine's; workers read and write " +
    'them here. Joins a coordinator and stays until it is told to leave (Ctrl-C); waits for a coordinator that is not ' +
    'there yet. A run that loses it goes back to its last checkpoint and on with those who are there.',
  examples: [
    'stoa parameters --coordinator 127.0.0.1:7070',
    'stoa parameters --coordinator 127.0.0.1:7070 --spill /var/tmp/stoa',
    'stoa parameters --coordinator 10.0.0.1:7070 --listen 10.0.0.2:7072 --insecure',
  ],
  define: (command) => {
    command
      .addOption(
        required(
          '--coordinator <host:port>',
          'whose rows to keep; several, with commas, stand in for one another',
        ),
      )
      .option('--listen <host:port>', 'where workers reach it; port 0 takes a free one', '127.0.0.1:0')
      .option('--advertise <host:port>', 'address that workers are told (default: --listen)')
      .option('--name <name>', 'shown to people; rows are placed by it', `${os.hostname()}-${process.pid}`)
      .option('--spill <dir>', 'keep the rows in files there, which the system caches, instead of in memory')
      .option('--tls-ca <file>', 'certificates to check coordinator, workers and their callers against (PEM)')
      .option('--tls-cert <file>', 'own certificate chain (PEM); with --tls-key')
      .option('--tls-key <file>', 'its private key (PEM)')
      .option('--insecure', 'allow plain text beyond this machine');
  },
  run: async ({ options, output }) => {
    const coordinators = parseAddresses(options.coordinator, '--coordinator');
    const listen = parseAddress(options.listen, '--listen');
    const advertise =
      options.advertise === undefined ? undefined : parseAddress(options.advertise, '--advertise');
    if (advertise === undefined && ANYWHERE.includes(listen.host)) {
      throw new UsageError(
        'STOA_USAGE',
        `--listen ${options.listen} does not say where workers find this process; give --advertise HOST:PORT too`,
        { fields: { field: '--advertise' } },
      );
    }
    const { runParameterProcess } = await import('../../coordinator/holder/parameter-process.js');
    const storage = await storageOf(options.spill);
    const { roleLogger } = await import('../logger.js');
    const log = roleLogger(output, 'parameters');
    await interruptible((signal) =>
      runParameterProcess({
        coordinators,
        listen,
        advertise,
        name: options.name,
        tls: tlsOf(options),
        storage,
        log,
        signal,
        onListening: (address) => log.info({ address: formatAddress(address) }, 'listening'),
      }),
    );
    output.answer({ name: options.name, left: true }, () => `${options.name} left`);
  },
});

async function storageOf(folder: string | undefined): Promise<StorageMaker> {
  const { fileStorage, memoryStorage } = await import('../../coordinator/holder/row-storage.js');
  if (folder === undefined) return memoryStorage;
  const { explainDisk } = await import('../../common/atomic-files.js');
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw explainDisk(error, folder);
  });
  return fileStorage(folder);
}
