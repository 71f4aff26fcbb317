import { addParametersFlag, LOCAL_PARAMETERS, type ParametersFlag } from '../parameters-flag.js';
import { answerRun } from '../train-summary.js';
import { toCommand } from '../verb.js';
import { addWorkerFlags, type WorkerFlags, workersOf } from '../worker-flags.js';

interface Options extends WorkerFlags, ParametersFlag {
  data?: string;
}

export const command = toCommand<Options>({
  name: 'resume',
  summary: 'Go on with a run that was stopped',
  description:
    'Goes on from the last checkpoint, with the settings and the data of the run, to the same model as if it had never ' +
    'been stopped. Workers and threads may be others than before, and so may the machine: copy the folder.',
  examples: ['stoa resume runs/a --workers 4', 'stoa resume copied/a --data datasets/enrolments-split'],
  define: (command) => {
    command
      .argument('<run>', 'folder of the run')
      .option('--data <dataset>', 'where its data are now, if not where they were; as with "stoa train"');
    addWorkerFlags(command);
    addParametersFlag(command, LOCAL_PARAMETERS);
  },
  run: async ({ args, options, output }) => {
    const { RunFolder } = await import('../../coordinator/training/run-folder.js');
    const { runEmbedded } = await import('../embedded-run.js');
    const runDir = String(args[0]);
    const { record, config } = await new RunFolder(runDir).read();
    const run = { ...(await dataOf(record, options.data)), config, runDir, resume: true };
    const { parameters = 0 } = options;
    answerRun(await runEmbedded({ ...run, ...workersOf(options), parameters }, output), runDir, output);
  },
});

/** The data of the run where they were, or, in the same parts, where they are now. */
async function dataOf(
  record: { dataset: string; test?: string; fold_in?: string },
  moved: string | undefined,
): Promise<{ dataset: string; test?: string; foldIn?: string }> {
  const { dataset, test, fold_in: foldIn } = record;
  if (moved === undefined) return { dataset, test, foldIn };
  const { resolveSplit } = await import('../../datasets/split/resolve-split.js');
  const parts = await resolveSplit(moved);
  return {
    dataset: parts.train,
    test: test && (parts.test ?? test),
    foldIn: foldIn && (parts.foldIn ?? foldIn),
  };
}
