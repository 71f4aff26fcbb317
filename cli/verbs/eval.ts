import os from 'node:os';
import { DataError, UsageError } from '../../common/errors.js';
import type { LoadedModel } from '../../coordinator/registry/model-folder.js';
import type { Csr } from '../../models/csr.js';
import { interruptible } from '../interrupts.js';
import { openDisplay } from '../live-display.js';
import { metricsTable } from '../metrics-table.js';
import type { Output } from '../output.js';
import { portableFacts } from '../portable-facts.js';
import { count } from '../quantities.js';
import { required, toCommand, wholeNumber } from '../verb.js';
import { workFrames } from '../work-frames.js';

interface Options {
  data: string;
  threads: number;
  seed: number;
}

export const command = toCommand<Options>({
  name: 'eval',
  summary: 'Measure a model on held-out data',
  description:
    'Ranks all items for every user with held-out interactions, without the items that the user took in training, ' +
    'and does the same with the baselines: popular, item-kNN, EASE.',
  examples: ['stoa eval runs/a --data datasets/enrolments-split'],
  define: (command) => {
    command
      .argument('<run|model>', 'run or model folder')
      .addOption(
        required('--data <dataset>', 'folder of "data split", or a dataset of held-out interactions'),
      )
      .option(
        '--threads <n>',
        'threads that rank',
        wholeNumber('--threads', 1, 1024),
        os.availableParallelism(),
      )
      .option(
        '--seed <n>',
        'seed of the bootstrap intervals',
        wholeNumber('--seed', 0, Number.MAX_SAFE_INTEGER),
        1,
      );
  },
  run: async ({ args, options, output }) => {
    const { evaluate, metricsJson } = await import('../../coordinator/evaluation/evaluate.js');
    const { objectiveOf, parseRunConfig } = await import('../../coordinator/plan/run-config.js');
    const { openModel } = await import('../../coordinator/registry/model-folder.js');
    const model = await openModel(String(args[0]));
    const { test, history } = await heldOut(model, options.data, output);
    const config = parseRunConfig(model.manifest.config);
    if (history !== undefined && config.model !== 'ials') {
      throw new UsageError(
        'STOA_USAGE',
        `${config.model} has no factors for users it was not trained on; evaluate on a split that is not strong`,
        { fields: { field: '--data' } },
      );
    }
    const display = await openDisplay(output);
    const frames = workFrames();
    try {
      const report = await interruptible((signal) =>
        evaluate({
          train: model.history,
          history,
          test,
          foldIn: history === undefined ? undefined : objectiveOf(config),
          userFactors: model.userFactors,
          itemFactors: model.itemFactors,
          factors: model.factors,
          threads: options.threads,
          seed: options.seed,
          signal,
          onProgress: ({ scorer, done, total }) =>
            display.show(frames({ phase: `ranking by ${scorer}`, done, total })),
        }),
      );
      display.close();
      const { baselines, ...metrics } = metricsJson(report);
      const device = portableFacts(options.threads);
      const { synthetic } = model;
      output.answer({ metrics: { ...metrics, baselines }, baselines, synthetic, device }, () =>
        [
          `${model.version}: ${count(report.usersEvaluated)} users with held-out interactions` +
            `${model.synthetic ? ' (synthetic data)' : ''}`,
          metricsTable(
            { ...metrics, baselines },
            String(model.manifest.config['model'] ?? 'model'),
            output.width,
          ),
        ].join('\n'),
      );
    } finally {
      display.close();
    }
  },
});

/** The held-out interactions, and the histories to fold in where whole users were held out, as the model counts. */
async function heldOut(
  model: LoadedModel,
  data: string,
  output: Output,
): Promise<{ test: Csr; history?: Csr }> {
  const { openDataset } = await import('../../datasets/dataset.js');
  const { resolveSplit } = await import('../../datasets/split/resolve-split.js');
  const { alignInteractions } = await import('../align-interactions.js');
  const parts = await resolveSplit(data);
  const ids = { userIds: model.userIds, itemIds: model.itemsTable.ids };
  const test = await alignInteractions(await openDataset(parts.test ?? parts.train), ids);
  if (test.interactions.idx.length === 0) {
    throw new DataError(
      'STOA_DATA_MISMATCH',
      `${data} has no interaction of a user and an item that ${model.dir} knows; evaluate on held-out data of the ` +
        'dataset it was trained on',
      { fields: { file: data } },
    );
  }
  if (test.dropped > 0) {
    output.warn(`${count(test.dropped)} interactions with users or items that the model lacks are left out`);
  }
  if (parts.foldIn === undefined) return { test: test.interactions };
  const history = await alignInteractions(await openDataset(parts.foldIn), ids);
  return { test: test.interactions, history: history.interactions };
}
