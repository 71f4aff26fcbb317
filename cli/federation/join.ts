import { text } from 'node:stream/consumers';
import { required, toCommand } from '../verb.js';
import { reportMembership } from './membership-report.js';

interface Options {
  identity: string;
  address?: string;
}

export const join = toCommand<Options>({
  name: 'join',
  summary: 'Become a member with an invitation',
  description:
    'Checks that the coordinator is that of the federation before anything is sent to it, makes a key, and has it ' +
    'certified. Key and certificate stay in --identity; may be repeated there when the connection broke.',
  examples: [
    'stoa federation join stoa-invitation-1.eyJp… --identity uni-a',
    'stoa federation join - --identity uni-a < invitation.txt',
  ],
  define: (command) => {
    command
      .argument('<invitation>', 'the line that "stoa federation invite" printed, or - to read it from stdin')
      .addOption(required('--identity <dir>', 'folder to keep key and certificate in'))
      .option('--address <host:port>', 'of the coordinator, where it is not the one in the invitation');
  },
  run: async ({ args, options, output }) => {
    const { parseInvitation } = await import('../../federation/trust/invitation.js');
    const { joinFederation } = await import('../../federation/trust/membership.js');
    const { systemClock } = await import('../../common/clock.js');
    const given = String(args[0]);
    if (given === '-' && process.stdin.isTTY) output.remark('paste the invitation and end with Ctrl-D');
    const invitation = parseInvitation(given === '-' ? await text(process.stdin) : given);
    const result = await joinFederation(invitation, options.identity, {
      clock: systemClock,
      address: options.address,
    });
    reportMembership(result, options.identity, output);
  },
});
