import { required, toCommand } from '../verb.js';

interface Options {
  dir: string;
  reason: string;
}

export const revoke = toCommand<Options>({
  name: 'revoke',
  summary: 'End a membership for good, or withdraw an invitation',
  description:
    'Holds at the next call of the member, also at a coordinator that runs; calls that are open end within a second. ' +
    'The name stays with its history: the institution may be invited again under another one.',
  examples: ['stoa federation revoke uni-a --dir federation --reason "contract ended"'],
  define: (command) => {
    command
      .argument('<name>', 'as "stoa federation members" shows it')
      .addOption(required('--dir <dir>', 'folder of the federation'))
      .option('--reason <text>', 'kept with the revocation', '');
  },
  run: async ({ args, options, output }) => {
    const { openFederation } = await import('../../coordinator/enrolment/federation-folder.js');
    const { MembershipRegister } = await import('../../coordinator/enrolment/membership-register.js');
    const { systemClock } = await import('../../common/clock.js');
    const name = String(args[0]);
    const register = new MembershipRegister(await openFederation(options.dir));
    const outcome = await register.revoke(name, options.reason, systemClock.date());
    output.answer({ name, outcome }, () =>
      outcome === 'revoked' ? `${name} is revoked` : `the invitation of ${name} is withdrawn`,
    );
  },
});
