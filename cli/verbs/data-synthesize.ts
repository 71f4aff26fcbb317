import { openDisplay } from '../live-display.js';
import { count } from '../quantities.js';
import { required, toCommand, wholeNumber } from '../verb.js';
import { workFrames } from '../work-frames.js';

interface Options {
  users: number;
  items: number;
  interactions: number;
  seed: number;
  out: string;
  itemsOut?: string;
  catalogue?: string;
}

/** More than any row number can count. */
const COUNT_MAX = 2 ** 31 - 2;

export const command = toCommand<Options>({
  name: 'synthesize',
  summary: 'Make up interactions of learners with courses',
  description:
    'Makes interactions with the traits of course enrolments: few popular courses, subjects that learners stay in, ' +
    'prerequisites, drift over time. The same seed gives the same file. What it makes is synthetic: import it with ' +
    '--synthetic, and it is labelled so wherever it is shown.',
  examples: [
    'stoa data synthesize --users 5000 --items 200 --interactions 60000 --seed 1 --out made.csv --items-out items.csv',
  ],
  define: (command) => {
    command
      .addOption(required('--users <n>', 'learners').argParser(wholeNumber('--users', 1, COUNT_MAX)))
      .addOption(required('--items <n>', 'courses').argParser(wholeNumber('--items', 1, COUNT_MAX)))
      .addOption(
        required('--interactions <n>', 'enrolments').argParser(wholeNumber('--interactions', 1, COUNT_MAX)),
      )
      .addOption(required('--out <file>', 'a .csv, .csv.gz or .parquet file'))
      .option('--seed <n>', 'seed of all choices', wholeNumber('--seed', 0, Number.MAX_SAFE_INTEGER), 1)
      .option('--items-out <file>', 'also write the items file, for --items of the import')
      .option('--catalogue <file>', 'courses to use, as the bundled ones are written');
  },
  run: async ({ options, output }) => {
    const { synthesize } = await import('../../datasets/synthesize/synthesize.js');
    const display = await openDisplay(output);
    const frames = workFrames();
    try {
      const report = await synthesize({
        ...options,
        onProgress: (progress: Parameters<typeof frames>[0]) => display.show(frames(progress)),
      });
      display.close();
      output.answer(report, () => `${options.out}: ${count(options.interactions)} synthetic interactions`);
      const items = options.itemsOut === undefined ? '' : ` --items ${options.itemsOut}`;
      output.remark(`next: stoa data import ${options.out} --synthetic${items} --out DATASET`);
    } finally {
      display.close();
    }
  },
});
