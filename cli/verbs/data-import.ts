import { Option } from 'commander';
import type { ImportReport } from '../../datasets/import/import-interactions.js';
import { openDisplay } from '../live-display.js';
import { count, duration } from '../quantities.js';
import { realNumber, required, toCommand, wholeNumber } from '../verb.js';
import { workFrames } from '../work-frames.js';

interface Options {
  out: string;
  userCol?: string;
  itemCol?: string;
  valueCol?: string;
  timeCol?: string;
  merge?: 'sum' | 'max' | 'last' | 'count';
  items?: string;
  itemsIdCol?: string;
  maxBad?: number;
  memoryMb?: number;
  threads?: number;
  synthetic?: boolean;
}

export const command = toCommand<Options>({
  name: 'import',
  summary: 'Turn files of interactions into a dataset',
  description:
    'Reads CSV, TSV, JSON Lines and Parquet (.gz of the text ones): files, globs, or folders. Ids are kept exactly. ' +
    'The same input gives the same bytes.',
  examples: [
    'stoa data import enrolments.csv.gz --out datasets/enrolments',
    'stoa data import logs/*.jsonl --out datasets/views --user-col learner --item-col course --merge count',
  ],
  define: (command) => {
    command
      .argument('<file...>', 'files, globs or folders')
      .addOption(required('--out <dataset>', 'folder to make; refused when it has something in it'))
      .option('--user-col <column>', 'who (found by its usual names when absent)')
      .option('--item-col <column>', 'what')
      .option('--value-col <column>', 'how strongly, 0 or more')
      .option('--time-col <column>', 'when')
      .addOption(
        new Option(
          '--merge <rule>',
          'what repeated (user, item) pairs become (default: sum of values, else one)',
        ).choices(['sum', 'max', 'last', 'count']),
      )
      .option('--items <file>', 'items file: id, title, category, …; travels with the dataset')
      .option('--items-id-col <column>', 'column of the items file that has the id')
      .option('--max-bad <share>', 'bad rows allowed (default: 0.01)', realNumber('--max-bad', 0, 1))
      .option('--memory-mb <n>', 'memory before spilling to disk', wholeNumber('--memory-mb', 128, 1 << 20))
      .option('--threads <n>', 'threads that read', wholeNumber('--threads', 1, 1024))
      .option('--synthetic', 'label the dataset as made, not observed');
  },
  run: async ({ args, options, output }) => {
    const { importInteractions } = await import('../../datasets/import/import-interactions.js');
    const display = await openDisplay(output);
    const frames = workFrames();
    try {
      const report = await importInteractions({
        files: args[0] as string[],
        out: options.out,
        userCol: options.userCol,
        itemCol: options.itemCol,
        valueCol: options.valueCol,
        timeCol: options.timeCol,
        merge: options.merge,
        items: options.items,
        itemsIdCol: options.itemsIdCol,
        maxBad: options.maxBad,
        memoryLimitMb: options.memoryMb,
        threads: options.threads,
        synthetic: options.synthetic,
        onProgress: (progress) => display.show(frames(progress)),
      });
      display.close();
      output.answer(report, () => reportText(report));
      output.remark(`next: stoa train --data ${report.out} --out RUN`);
    } finally {
      display.close();
    }
  },
});

function reportText(report: ImportReport): string {
  const lines = [
    `${report.out}: ${count(report.interactions)} interactions of ${count(report.users)} users and ` +
      `${count(report.items)} items`,
    `  read ${count(report.rowsRead)} rows in ${duration(report.seconds)}, merged ` +
      `${count(report.duplicatesMerged)} repeats`,
  ];
  if (report.rowsRejected > 0) {
    lines.push(`  kept ${count(report.rowsRejected)} bad rows aside in ${report.rejectsFile}`);
  }
  if (report.itemsMatched !== undefined) {
    lines.push(
      `  items file: ${count(report.itemsMatched)} items found, ${count(report.itemsUnmatched ?? 0)} without a line`,
    );
  }
  return lines.join('\n');
}
