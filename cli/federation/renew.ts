import { required, toCommand } from '../verb.js';
import { reportMembership } from './membership-report.js';

interface Options {
  identity: string;
  address?: string;
}

export const renew = toCommand<Options>({
  name: 'renew',
  summary: "Renew a member's certificate, with a new key",
  description:
    'The certificate before is refused from the first call on that is made with the new one. What was signed with the ' +
    'earlier key stays valid.',
  examples: ['stoa federation renew --identity uni-a'],
  define: (command) => {
    command
      .addOption(required('--identity <dir>', 'folder that "stoa federation join" made'))
      .option('--address <host:port>', 'of the coordinator, where it has moved');
  },
  run: async ({ options, output }) => {
    const { renewMembership } = await import('../../federation/trust/membership.js');
    const { systemClock } = await import('../../common/clock.js');
    const result = await renewMembership(options.identity, {
      clock: systemClock,
      address: options.address,
    });
    reportMembership(result, options.identity, output);
  },
});
