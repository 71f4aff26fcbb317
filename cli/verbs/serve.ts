import { formatAddress, parseAddress } from '../../common/addresses.js';
import { interruptible, untilAborted } from '../interrupts.js';
import { addServerTlsFlags, type TlsFlags, tlsOf } from '../tls-flags.js';
import { addUnbuilt, required, toCommand } from '../verb.js';

interface Options extends TlsFlags {
  model: string;
  listen: string;
  http?: string;
}

export const command = toCommand<Options>({
  name: 'serve',
  summary: 'Serve one model over gRPC and REST',
  description:
    'Answers Recommend, BatchRecommend and SimilarItems from one model folder, with reflection and health. Ctrl-C ' +
    'ends the calls in flight and leaves.',
  examples: ['stoa serve --model runs/a --listen 127.0.0.1:7071 --http 127.0.0.1:7081'],
  define: (command) => {
    command
      .addOption(required('--model <model>', 'model or run folder'))
      .addOption(required('--listen <host:port>', 'gRPC address; port 0 takes a free one'))
      .option('--http <host:port>', 'also answer REST there: /v1, /docs');
    addServerTlsFlags(command);
    addUnbuilt(command, {
      '--processes <n>': 'one process serves; start more on other ports',
      '--redis <url>': 'there is no store of recent events yet',
    });
  },
  run: async ({ options, output }) => {
    const listen = parseAddress(options.listen, '--listen');
    const http = options.http === undefined ? undefined : parseAddress(options.http, '--http');
    const { startServing } = await import('../../coordinator/serving/serve.js');
    const { roleLogger } = await import('../logger.js');
    await interruptible(async (signal) => {
      const serving = await startServing({
        model: options.model,
        listen,
        http,
        tls: tlsOf(options),
        log: roleLogger(output, 'serve'),
      });
      try {
        const address = formatAddress(serving.address);
        const httpAddress =
          serving.httpAddress === undefined ? undefined : formatAddress(serving.httpAddress);
        output.answer({ address, http: httpAddress, model: options.model }, () =>
          [
            `serving ${options.model} on ${address}; ask with: stoa recommend --server ${address} --user ID`,
            ...(httpAddress === undefined ? [] : [`REST on http://${httpAddress}/docs`]),
          ].join('\n'),
        );
        await untilAborted(signal);
      } finally {
        await serving.close();
      }
    });
  },
});
