import { minute } from '../quantities.js';
import { textTable } from '../text-table.js';
import { required, toCommand } from '../verb.js';

interface Options {
  dir: string;
}

export const members = toCommand<Options>({
  name: 'members',
  summary: 'List members and open invitations',
  examples: ['stoa federation members --dir federation'],
  define: (command) => {
    command.addOption(required('--dir <dir>', 'folder of the federation'));
  },
  run: async ({ options, output }) => {
    const { openFederation } = await import('../../coordinator/enrolment/federation-folder.js');
    const { MembershipRegister } = await import('../../coordinator/enrolment/membership-register.js');
    const { systemClock } = await import('../../common/clock.js');
    const federation = await openFederation(options.dir);
    const entries = await new MembershipRegister(federation).list(systemClock.date());
    const document = {
      federation: federation.name,
      authority: federation.fingerprint,
      members: entries.map(({ name, role, state, expireTime, enrolTime, revokeTime, reason }) => ({
        name,
        role,
        state,
        enrol_time: enrolTime ?? null,
        expire_time: expireTime,
        revoke_time: revokeTime ?? null,
        reason: reason ?? null,
      })),
    };
    output.answer(document, () => {
      if (entries.length === 0) return `${federation.name} has no members yet`;
      const rows = entries.map((entry) => [
        entry.name,
        entry.role,
        entry.state,
        entry.enrolTime === undefined ? '' : minute(entry.enrolTime),
        minute(entry.revokeTime ?? entry.expireTime),
        entry.reason ?? '',
      ]);
      const header = ['name', 'role', 'state', 'joined (UTC)', 'ends (UTC)', ''];
      return textTable(rows, { header, width: output.width });
    });
  },
});
