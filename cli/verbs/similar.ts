import { addSourceFlags, itemDocuments, itemsTable, openSource, type SourceFlags } from '../answer-source.js';
import { required, toCommand, wholeNumber } from '../verb.js';

interface Options extends SourceFlags {
  item: string;
  limit: number;
}

export const command = toCommand<Options>({
  name: 'similar',
  summary: 'List the items most like an item',
  description: 'The items whose factors point the same way, by cosine.',
  examples: ['stoa similar --model runs/a --item linear-algebra --limit 5'],
  define: (command) => {
    command.addOption(required('--item <id>', 'which, as in the data'));
    addSourceFlags(command);
    command.option('--limit <n>', 'how many items', wholeNumber('--limit', 1, 1000), 10);
  },
  run: async ({ options, output }) => {
    const source = await openSource(options);
    try {
      const answer = await source.similar({ itemId: options.item, limit: options.limit });
      const document = {
        item_id: options.item,
        model_version: answer.modelVersion,
        items: itemDocuments(answer.items),
        synthetic: source.isSynthetic,
        device: source.device,
      };
      output.answer(document, () =>
        [
          `most like ${options.item}${source.isSynthetic ? ' (synthetic data)' : ''}`,
          itemsTable(answer.items, output.width, '  '),
        ].join('\n'),
      );
    } finally {
      source.close();
    }
  },
});
