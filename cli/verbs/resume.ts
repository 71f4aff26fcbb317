import { answerRun } from '../train-summary.js';
import { toCommand } from '../verb.js';
import { addWorkerFlags, type WorkerFlags, workersOf } from '../worker-flags.js';

export const command = toCommand<WorkerFlags>({
  name: 'resume',
  summary: 'Go on with a run that was stopped',
  description:
    'Goes on from the last checkpoint, with the settings and the data of the run, to the same model as if it had never ' +
    'been stopped. Workers and threads may be others than before.',
  examples: ['stoa resume runs/a --workers 4'],
  define: (command) => {
    command.argument('<run>', 'folder of the run');
    addWorkerFlags(command);
  },
  run: async ({ args, options, output }) => {
    const { RunFolder } = await import('../../coordinator/training/run-folder.js');
    const { runEmbedded } = await import('../embedded-run.js');
    const runDir = String(args[0]);
    const { record, config } = await new RunFolder(runDir).read();
    const { dataset, test, fold_in: foldIn } = record;
    const run = { dataset, test, foldIn, config, runDir, resume: true };
    answerRun(await runEmbedded({ ...run, ...workersOf(options) }, output), runDir, output);
  },
});
