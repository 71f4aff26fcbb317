import os from 'node:os';
import path from 'node:path';
import { parseAddress } from '../../common/addresses.js';
import { addDeviceFlags, type DeviceFlags } from '../device-flags.js';
import { interruptible, untilAborted } from '../interrupts.js';
import { addressFromParent, FROM_PARENT } from '../parent-address.js';
import { addClientTlsFlags, type TlsFlags, tlsOf } from '../tls-flags.js';
import { required, toCommand, wholeNumber } from '../verb.js';

interface Options extends TlsFlags, DeviceFlags {
  coordinator: string;
  name: string;
  threads: number;
  cache: string;
}

export const command = toCommand<Options>({
  name: 'worker',
  summary: 'Solve blocks for a coordinator',
  description:
    'Joins a coordinator and solves blocks until it is told to leave (Ctrl-C): then it hands back what it holds. ' +
    'Waits for a coordinator that is not there yet, and comes back to one that was restarted.',
  examples: ['stoa worker --coordinator 127.0.0.1:7070 --threads 4'],
  define: (command) => {
    command
      .addOption(
        required('--coordinator <host:port>', 'where to ask for work; several, with commas, stand in line'),
      )
      .option('--name <name>', 'shown to people', `${os.hostname()}-${process.pid}`)
      .option(
        '--threads <n>',
        'blocks solved at once',
        wholeNumber('--threads', 1, 1024),
        os.availableParallelism(),
      )
      .option('--cache <dir>', 'where fetched shards are kept', defaultCache());
    addDeviceFlags(command);
    addClientTlsFlags(command);
  },
  run: async ({ options, output }) => {
    const coordinators =
      options.coordinator === FROM_PARENT
        ? addressFromParent().then((address) => [address])
        : options.coordinator.split(',').map((text) => parseAddress(text, '--coordinator'));
    const { runWorker } = await import('../../worker/worker.js');
    const { roleLogger } = await import('../logger.js');
    const log = roleLogger(output, 'worker');
    await interruptible(async (signal) => {
      const known = await Promise.race([coordinators, untilAborted(signal).then(() => [])]);
      if (signal.aborted) return;
      await runWorker({
        coordinators: known,
        name: options.name,
        threads: options.threads,
        device: options.device ?? 'auto',
        isa: options.isa,
        isGpuRequired: options.requireGpu,
        cacheDir: options.cache,
        tls: tlsOf(options),
        log,
        signal,
        transfer: process.env['STOA_TRANSFER'] === 'grpc' ? 'grpc' : 'auto',
      });
    });
    output.answer({ name: options.name, left: true }, () => `${options.name} left`);
  },
});

function defaultCache(): string {
  return path.join(process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache'), 'stoa');
}
