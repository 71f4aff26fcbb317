import { collect, required, toCommand } from '../verb.js';

interface Options {
  dir: string;
  name: string;
  host?: readonly string[];
}

/** What a coordinator on one machine is called. */
const HOSTS = ['localhost', '127.0.0.1', '::1'];

export const found = toCommand<Options>({
  name: 'init',
  summary: 'Found a federation: its authority and the certificate of its coordinator',
  description:
    'Makes a folder with the key that certifies members. Whoever has that folder decides who is a member: keep it on ' +
    'the coordinator alone, and a copy in a safe place.',
  examples: ['stoa federation init --dir federation --name open-courses --host stoa.example.org'],
  define: (command) => {
    command
      .addOption(required('--dir <dir>', 'folder to make'))
      .addOption(required('--name <name>', 'of the federation: a-z, 0-9 and "-"'))
      .option(
        '--host <name>',
        'name or address of the coordinator, for clients that are no members; may be repeated (default: this machine)',
        collect,
      );
  },
  run: async ({ options, output }) => {
    const { foundFederation } = await import('../../coordinator/enrolment/federation-folder.js');
    const { systemClock } = await import('../../common/clock.js');
    const federation = await foundFederation(options.dir, {
      name: options.name,
      hosts: options.host ?? HOSTS,
      now: systemClock.date(),
    });
    const document = {
      federation: federation.name,
      dir: options.dir,
      authority: federation.fingerprint,
      hosts: federation.hosts,
    };
    output.answer(document, () =>
      [
        `${federation.name} is founded in ${options.dir}`,
        `authority ${federation.fingerprint}`,
        `invite members with: stoa federation invite NAME --dir ${options.dir} --address HOST:PORT`,
      ].join('\n'),
    );
  },
});
