import { UsageError } from '../../common/errors.js';
import type { SplitStrategy } from '../../datasets/split/split-dataset.js';
import { realNumber, required, toCommand, wholeNumber } from '../verb.js';

interface Options {
  strategy: SplitStrategy;
  out: string;
  testFraction?: number;
  seed?: number;
  minTrain?: number;
  heldOutUsers?: number;
  at?: number;
}

export const command = toCommand<Options>({
  name: 'split',
  summary: 'Divide a dataset into a training and a test part',
  description:
    'random: a share of each user’s interactions is held out. leave-last-out: the last one of each user. temporal: ' +
    'what came after a moment. strong: whole users are held out; most of their history is folded in, the rest is ' +
    'the test. "stoa train --data" takes the folder that it makes.',
  examples: ['stoa data split datasets/enrolments --strategy leave-last-out --out datasets/enrolments-split'],
  define: (command) => {
    command
      .argument('<dataset>', 'dataset folder')
      .addOption(
        required('--strategy <strategy>', 'how').choices(['random', 'leave-last-out', 'temporal', 'strong']),
      )
      .addOption(required('--out <dir>', 'folder to make; refused when it has something in it'))
      .option(
        '--test-fraction <share>',
        'share that is held out (random, strong)',
        realNumber('--test-fraction', 0, 1),
      )
      .option('--seed <n>', 'seed of the choice', wholeNumber('--seed', 0, Number.MAX_SAFE_INTEGER))
      .option(
        '--min-train <n>',
        'leave users at least so many interactions',
        wholeNumber('--min-train', 0, 2 ** 31),
      )
      .option('--held-out-users <n>', 'users held out (strong)', wholeNumber('--held-out-users', 1, 2 ** 31))
      .option('--at <time>', 'the moment, as the times in the dataset (temporal)', parseTime);
  },
  run: async ({ args, options, output }) => {
    const { splitDataset } = await import('../../datasets/split/split-dataset.js');
    const report = await splitDataset({
      dataset: String(args[0]),
      out: options.out,
      strategy: options.strategy,
      testFraction: options.testFraction,
      seed: options.seed,
      minTrain: options.minTrain,
      heldOutUsers: options.heldOutUsers,
      at: options.at,
    });
    output.answer(report, () => `${options.out}: train and test`);
    output.remark(`next: stoa train --data ${options.out} --out RUN`);
  },
});

/** A number as it stands, or a date: milliseconds since 1970. */
function parseTime(text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && Number.isFinite(number)) return number;
  const date = Date.parse(text);
  if (!Number.isNaN(date)) return date;
  throw new UsageError(
    'STOA_USAGE',
    `--at ${text}: expected a number as in the data, or a date like 2024-01-31`,
    {
      fields: { field: '--at' },
    },
  );
}
