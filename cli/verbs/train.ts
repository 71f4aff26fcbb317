import { parseAddress } from '../../common/addresses.js';
import { UsageError } from '../../common/errors.js';
import type { RunConfig } from '../../coordinator/plan/run-config.js';
import type { Output } from '../output.js';
import { addParametersFlag, LOCAL_PARAMETERS, type ParametersFlag } from '../parameters-flag.js';
import { addSettingFlags, loadRunConfig, type SettingFlags, settingsHelp } from '../run-settings.js';
import { addClientTlsFlags, type TlsFlags, tlsOf } from '../tls-flags.js';
import { answerFederated, answerRun } from '../train-summary.js';
import { required, toCommand, wholeNumber } from '../verb.js';
import { addWorkerFlags, type WorkerFlags, workersOf } from '../worker-flags.js';

interface Options extends SettingFlags, WorkerFlags, ParametersFlag, TlsFlags {
  data?: string;
  test?: string;
  out: string;
  coordinator?: string;
  metrics?: string;
  federated?: boolean;
  participants?: number;
  partition?: string;
  listen?: string;
  report?: boolean;
}

/** Institutions as processes of one machine; with fewer than federated.cohort_min no sum is made. */
const PARTICIPANTS_DEFAULT = 5;
const PARTICIPANTS_MAX = 64;

export const command = toCommand<Options>({
  name: 'train',
  summary: 'Train a model',
  description:
    'Trains on this machine with worker processes of its own, or with --coordinator on a cluster. Ctrl-C makes a ' +
    'checkpoint, and "stoa resume" goes on from there. The model does not depend on how many workers or threads there ' +
    'are.',
  examples: [
    'stoa train --data datasets/enrolments-split --out runs/a --set ials.factors=64',
    'stoa train --data datasets/enrolments --out runs/b --coordinator 127.0.0.1:7070',
    'stoa train --data datasets/enrolments-split --out runs/c --federated --participants 5 --partition skewed',
  ],
  more: settingsHelp,
  define: (command) => {
    command
      .option(
        '--data <dataset>',
        'dataset, or a folder of "data split": trains on its training part; to be given, but with --listen',
      )
      .addOption(required('--out <run>', 'folder of the run; refused when it has something in it'))
      .option('--test <dataset>', 'held-out interactions to evaluate on (default: those of the split)');
    addWorkerFlags(command);
    addParametersFlag(command, LOCAL_PARAMETERS);
    command.option('--metrics <host:port>', 'Prometheus metrics there while it trains: /metrics');
    addSettingFlags(command);
    command.option(
      '--coordinator <host:port>',
      'train there (several, with commas, stand in for one another); the dataset is sent when it is not there yet',
    );
    addClientTlsFlags(command);
    command
      .option(
        '--federated',
        'spread the data over institutions, each a process that shares nothing but sums: see docs/federation.md',
      )
      .option(
        '--participants <n>',
        `with --federated: institutions (default: ${PARTICIPANTS_DEFAULT})`,
        wholeNumber('--participants', 1, PARTICIPANTS_MAX),
      )
      .option(
        '--partition <how>',
        'with --federated: by-user, skewed, or by-column:NAME of the items (default: by-user)',
      )
      .option(
        '--report',
        'with --federated: also central training, masks, noise, and each institution alone, side by side',
      )
      .option(
        '--listen <host:port>',
        'with --federated: wait there for participants of other machines, each with its own data',
      );
  },
  run: async ({ options, output }) => {
    const { refuseExisting } = await import('../../common/atomic-files.js');
    const { resolveSplit } = await import('../../datasets/split/resolve-split.js');
    const config = await loadRunConfig(options);
    await refuseExisting(options.out);
    if (options.listen !== undefined) return host(options, options.listen, config, output);
    if (options.data === undefined) {
      throw new UsageError('STOA_USAGE', '"stoa train" needs --data <dataset>; see "stoa train --help"', {
        fields: { field: '--data' },
      });
    }
    const parts = await resolveSplit(options.data);
    const test = options.test ?? parts.test;
    const foldIn = options.test === undefined ? parts.foldIn : undefined;
    const request = { dataset: parts.train, test, foldIn, config, runDir: options.out };
    if (options.federated === true) {
      refuseTogether(options);
      const { runFederated } = await import('../federated-run.js');
      const { participants = PARTICIPANTS_DEFAULT, partition = 'by-user' } = options;
      const { workers, ...each } = workersOf({ ...options, workers: participants });
      const run = { ...request, ...each, participants: workers, partition };
      if (options.report === true) {
        const { reportFederated, reportText } = await import('../federated-report.js');
        const report = await reportFederated(run, output);
        output.answer(report, () => reportText(report, output.width));
      } else {
        answerFederated(await runFederated(run, output), options.out, output);
      }
    } else if (options.coordinator !== undefined) {
      refuseWorkerFlags(options);
      const { runRemotely } = await import('../remote-run.js');
      answerRun(await runRemotely(request, options.coordinator, options, output), options.out, output);
    } else {
      const { runEmbedded } = await import('../embedded-run.js');
      const metrics = options.metrics === undefined ? undefined : parseAddress(options.metrics, '--metrics');
      const { parameters = 0 } = options;
      const run = { ...request, ...workersOf(options), parameters, metrics };
      answerRun(await runEmbedded(run, output), options.out, output);
    }
  },
});

/** Coordinates participants that are elsewhere. */
async function host(options: Options, listen: string, config: RunConfig, output: Output): Promise<void> {
  const given = { '--data': options.data, '--test': options.test, '--partition': options.partition };
  const extra = Object.entries(given).find(([, value]) => value !== undefined)?.[0];
  if (options.federated !== true || extra !== undefined) {
    const why =
      extra === undefined ? 'is for --federated' : `does not go with ${extra}: participants bring the data`;
    throw new UsageError('STOA_USAGE', `--listen ${why}`, { fields: { field: '--listen' } });
  }
  refuseTogether(options);
  const { hostFederation } = await import('../hosted-federation.js');
  const { roleLogger } = await import('../logger.js');
  const result = await hostFederation(
    {
      listen: parseAddress(listen, '--listen'),
      tls: tlsOf(options),
      config,
      participants: options.participants ?? PARTICIPANTS_DEFAULT,
      out: options.out,
      log: roleLogger(output, 'federation'),
    },
    output,
  );
  output.answer(
    result,
    () =>
      `${result.participants.length} participants trained ${result.items} items in ${result.rounds} rounds; ` +
      `the items are in ${result.model_dir}, each has its own model`,
  );
}

/** Flags that a federated run has nothing for. */
function refuseTogether({ coordinator, workers, parameters, metrics }: Options): void {
  const given = {
    '--coordinator': coordinator,
    '--workers': workers,
    '--parameters': parameters,
    '--metrics': metrics,
  };
  for (const [flag, value] of Object.entries(given)) {
    if (value === undefined) continue;
    throw new UsageError('STOA_USAGE', `${flag} does not go with --federated; leave one of them out`, {
      fields: { field: flag },
    });
  }
}

/** Flags that "stoa coordinator" has too. */
const COORDINATORS = ['--metrics', '--parameters'];

/** Those flags are about workers and a coordinator of our own. */
function refuseWorkerFlags({
  workers,
  threads,
  device,
  isa,
  requireGpu,
  parameters,
  metrics,
}: Options): void {
  const given = {
    '--workers': workers,
    '--threads': threads,
    '--device': device,
    '--isa': isa,
    '--require-gpu': requireGpu,
    '--parameters': parameters,
    '--metrics': metrics,
  };
  for (const [flag, value] of Object.entries(given)) {
    if (value === undefined) continue;
    throw new UsageError(
      'STOA_USAGE',
      `${flag} is decided where ${COORDINATORS.includes(flag) ? 'the coordinator runs' : 'the workers run'}; leave it out with --coordinator`,
      {
        fields: { field: flag },
      },
    );
  }
}
