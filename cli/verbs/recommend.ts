import {
  addSourceFlags,
  itemDocuments,
  itemsTable,
  openSource,
  reasonInWords,
  type SourceFlags,
} from '../answer-source.js';
import { collect, required, toCommand, wholeNumber } from '../verb.js';

interface Options extends SourceFlags {
  user: string;
  limit: number;
  exclude?: string[];
  includeSeen?: boolean;
}

export const command = toCommand<Options>({
  name: 'recommend',
  summary: 'Recommend items to a user',
  description:
    'Ranks all items for a user, without those already taken. An unknown user gets popular items, and the answer says ' +
    'so.',
  examples: [
    'stoa recommend --model runs/a --user ana --limit 5',
    'stoa recommend --server 127.0.0.1:7071 --user ana',
  ],
  define: (command) => {
    command.addOption(required('--user <id>', 'who, as in the data'));
    addSourceFlags(command);
    command
      .option('--limit <n>', 'how many items', wholeNumber('--limit', 1, 1000), 10)
      .option('--exclude <item>', 'an item not to answer, repeatable', collect)
      .option('--include-seen', 'also items that the user took already');
  },
  run: async ({ options, output }) => {
    const source = await openSource(options);
    try {
      const answer = await source.recommend({
        userId: options.user,
        limit: options.limit,
        excludeItemIds: options.exclude ?? [],
        includeSeen: options.includeSeen === true,
      });
      const document = {
        user_id: options.user,
        reason: answer.reason,
        model_version: answer.modelVersion,
        is_control: answer.isControl,
        items: itemDocuments(answer.items),
        synthetic: source.isSynthetic,
        device: source.device,
      };
      output.answer(document, () =>
        [
          `${options.user}: ${reasonInWords(answer.reason)}${source.isSynthetic ? ' (synthetic data)' : ''}`,
          itemsTable(answer.items, output.width, '  '),
        ].join('\n'),
      );
    } finally {
      source.close();
    }
  },
});
