import { Option } from 'commander';
import { parseAddress } from '../../common/addresses.js';
import type { MemberRole } from '../../federation/trust/access-table.js';
import { minute } from '../quantities.js';
import { required, toCommand, wholeNumber } from '../verb.js';

interface Options {
  dir: string;
  address: string;
  role: MemberRole;
  validHours: number;
}

const ROLES: readonly MemberRole[] = ['participant', 'operator'];
/** Long enough for a letter to be answered, short enough that a forgotten one is no open door. */
const VALID_HOURS = 72;
const HOUR_MS = 60 * 60 * 1000;

export const invite = toCommand<Options>({
  name: 'invite',
  summary: 'Make an invitation for one institution, which is good once',
  description:
    'Prints one line of text. Who has it may join under the name, once, until it expires: send it by a way that only ' +
    'the institution reads. An earlier invitation of the name that nobody used is worth nothing from then on.',
  examples: [
    'stoa federation invite uni-a --dir federation --address stoa.example.org:7070',
    'stoa federation invite office --dir federation --address stoa.example.org:7070 --role operator --valid-hours 1',
  ],
  define: (command) => {
    command
      .argument('<name>', 'of the member: a-z, 0-9 and "-"')
      .addOption(required('--dir <dir>', 'folder of the federation'))
      .addOption(required('--address <host:port>', 'where the institution reaches the coordinator'))
      .addOption(
        new Option('--role <role>', 'participants train; operators start and stop trainings')
          .choices(ROLES)
          .default('participant'),
      )
      .option(
        '--valid-hours <hours>',
        'until the invitation expires',
        wholeNumber('--valid-hours', 1, 24 * 90),
        VALID_HOURS,
      );
  },
  run: async ({ args, options, output }) => {
    parseAddress(options.address, '--address');
    const { openFederation } = await import('../../coordinator/enrolment/federation-folder.js');
    const { MembershipRegister } = await import('../../coordinator/enrolment/membership-register.js');
    const { formatInvitation } = await import('../../federation/trust/invitation.js');
    const { systemClock } = await import('../../common/clock.js');
    const register = new MembershipRegister(await openFederation(options.dir));
    const invitation = await register.invite({
      name: String(args[0]),
      role: options.role,
      address: options.address,
      validMs: options.validHours * HOUR_MS,
      now: systemClock.date(),
    });
    const text = formatInvitation(invitation);
    const { name, role, expires } = invitation;
    output.answer({ invitation: text, name, role, expire_time: expires }, () => text);
    output.remark(
      `for ${name}, good once until ${minute(expires)} UTC; join with: stoa federation join - --identity DIR`,
    );
  },
});
