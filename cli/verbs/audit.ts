import { bytes, count } from '../quantities.js';
import { textTable } from '../text-table.js';
import { toCommand, toGroup } from '../verb.js';

const verify = toCommand<Record<string, never>>({
  name: 'verify',
  summary: 'Check the log of what left an institution, and say what it was',
  description:
    'Reads every entry of an audit log, checks that none was changed, removed or moved, and adds up what left by kind. ' +
    'Keep the last line of the answer elsewhere: a log and its head that were both put back are told apart by it alone.',
  examples: ['stoa audit verify identity/audit'],
  define: (command) => {
    command.argument('<folder>', 'audit folder of a participant');
  },
  run: async ({ args, output }) => {
    const { verifyAudit } = await import('../../federation/audit/audit-log.js');
    const folder = String(args[0]);
    const { entries, head } = await verifyAudit(folder);
    const kinds = new Map<string, { messages: number; bytes: number }>();
    for (const { message, bytes: size } of entries) {
      const kind = kinds.get(message) ?? { messages: 0, bytes: 0 };
      kind.messages++;
      kind.bytes += size;
      kinds.set(message, kind);
    }
    const polls = entries.reduce((sum, entry) => sum + entry.polls, 0);
    const epsilon = Math.max(0, ...entries.map((entry) => entry.epsilon ?? 0));
    const answer = {
      folder,
      entries: head.sequence,
      chain: head.chain,
      runs: [...new Set(entries.map(({ run }) => run))],
      rounds: new Set(entries.filter((entry) => entry.round !== undefined).map((e) => `${e.run} ${e.round}`))
        .size,
      polls,
      epsilon: epsilon === 0 ? undefined : epsilon,
      messages: Object.fromEntries(kinds),
    };
    output.answer(answer, () =>
      [
        textTable(
          [...kinds].map(([message, kind]) => [count(kind.messages), bytes(kind.bytes), message]),
          { header: ['messages', 'bytes', 'what left'], width: output.width },
        ),
        '',
        `besides: ${count(polls)} questions for tasks and tables, and signs of life, without data in them`,
        ...(epsilon === 0 ? [] : [`ε spent: ${epsilon.toPrecision(4)} in one run, at most`]),
        `${count(head.sequence)} entries, all of them as they were written; the last is ${head.chain}`,
      ].join('\n'),
    );
  },
});

export const command = toGroup('audit', 'Check what left a participant', [verify]);
