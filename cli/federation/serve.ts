import { formatAddress, parseAddress } from '../../common/addresses.js';
import { interruptible, untilAborted } from '../interrupts.js';
import { required, toCommand } from '../verb.js';

interface Options {
  dir: string;
  listen: string;
}

export const serve = toCommand<Options>({
  name: 'serve',
  summary: 'Take in members and renew certificates, without training',
  description:
    'Answers "stoa federation join" and "renew" over TLS until Ctrl-C. Members and revocations are read from the ' +
    'folder at every call: invite and revoke while it runs.',
  examples: ['stoa federation serve --dir federation --listen 0.0.0.0:7070'],
  define: (command) => {
    command
      .addOption(required('--dir <dir>', 'folder of the federation'))
      .addOption(required('--listen <host:port>', 'port 0 takes a free one'));
  },
  run: async ({ options, output }) => {
    const listen = parseAddress(options.listen, '--listen');
    const { serveEnrolment } = await import('../../coordinator/enrolment/serve-enrolment.js');
    const { roleLogger } = await import('../logger.js');
    await interruptible(async (signal) => {
      const server = await serveEnrolment({
        folder: options.dir,
        listen,
        log: roleLogger(output, 'federation'),
      });
      try {
        const address = formatAddress(server.address);
        output.answer(
          { address, federation: server.federation, authority: server.authority },
          () => `${server.federation} takes in members on ${address}`,
        );
        await untilAborted(signal);
      } finally {
        await server.close();
      }
    });
  },
});
