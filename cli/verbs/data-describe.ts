import { toCommand } from '../verb.js';

export const command = toCommand<object>({
  name: 'describe',
  summary: 'Say what is in a dataset',
  description: 'Counts, density, how many interactions users and items have, the time span, the values.',
  examples: ['stoa data describe datasets/enrolments'],
  define: (command) => {
    command.argument('<dataset>', 'dataset folder');
  },
  run: async ({ args, output }) => {
    const { openDataset } = await import('../../datasets/dataset.js');
    const { describeDataset, formatDescription } = await import('../../datasets/describe.js');
    const description = await describeDataset(await openDataset(String(args[0])));
    output.answer(description, () => formatDescription(description, output.width));
  },
});
