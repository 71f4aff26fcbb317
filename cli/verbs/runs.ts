import { UsageError } from '../../common/errors.js';
import { deviceText } from '../../models/device-facts.js';
import { addCoordinatorFlags, type CoordinatorFlags, withTrainingClient } from '../coordinator-flags.js';
import { metricsTable } from '../metrics-table.js';
import { bytes, duration, minute } from '../quantities.js';
import type { RunEntry } from '../run-entries.js';
import { textTable } from '../text-table.js';
import { required, toCommand, toGroup } from '../verb.js';

/** The metric of the list: the one most papers show. */
const LIST_METRIC = 'ndcg@10';

const list = toCommand<CoordinatorFlags>({
  name: 'ls',
  summary: 'List runs, newest first',
  examples: ['stoa runs ls runs', 'stoa runs ls --coordinator 127.0.0.1:7070'],
  define: (command) => {
    addCoordinatorFlags(command.argument('[folder]', 'folder that holds runs', '.'));
  },
  run: async ({ args, options, output }) => {
    const { runOfStatus, runsUnder } = await import('../run-entries.js');
    const runs =
      options.coordinator === undefined
        ? await runsUnder(String(args[0]))
        : await withTrainingClient(options.coordinator, options, async (client) =>
            (await client.listRuns()).map(runOfStatus),
          );
    output.answer({ runs }, () => (runs.length === 0 ? 'no runs' : listText(runs, output.width)));
  },
});

const show = toCommand<CoordinatorFlags>({
  name: 'show',
  summary: 'Show a run: state, settings, result',
  examples: ['stoa runs show runs/a'],
  define: (command) => {
    addCoordinatorFlags(command.argument('<run>', 'folder of the run, or its id with --coordinator'));
  },
  run: async ({ args, options, output }) => {
    const run = await find(String(args[0]), options);
    output.answer(run, () => showText(run, output.width));
  },
});

const diff = toCommand<CoordinatorFlags>({
  name: 'diff',
  summary: 'Compare two runs: what differs in settings and results',
  examples: ['stoa runs diff runs/a runs/b'],
  define: (command) => {
    command
      .argument('<first>', 'folder of a run, or its id with --coordinator')
      .argument('<second>', 'another');
    addCoordinatorFlags(command);
  },
  run: async ({ args, options, output }) => {
    const first = await find(String(args[0]), options);
    const second = await find(String(args[1]), options);
    const differences = differencesOf(first, second);
    output.answer({ first: first.run, second: second.run, differences }, () =>
      differences.length === 0
        ? 'the runs do not differ'
        : textTable(
            differences.map((line) => [line.name, shown(line.first), shown(line.second)]),
            { header: ['', first.run, second.run], width: output.width },
          ),
    );
  },
});

const stop = toCommand<CoordinatorFlags>({
  name: 'stop',
  summary: 'Stop a run of a coordinator after a checkpoint',
  examples: ['stoa runs stop RUN --coordinator 127.0.0.1:7070'],
  define: (command) => addCoordinatorFlags(command.argument('<run>', 'id of the run')),
  run: async ({ args, options, output }) => {
    const { runOfStatus } = await import('../run-entries.js');
    const status = await withTrainingClient(addressOf(options), options, (client) =>
      client.stopRun(String(args[0])),
    );
    output.answer(runOfStatus(status), () => `run ${status.runId} stops`);
  },
});

const pause = toCommand<CoordinatorFlags>({
  name: 'pause',
  summary: 'Pause a run of a coordinator: its workers stay and get no blocks',
  examples: ['stoa runs pause RUN --coordinator 127.0.0.1:7070'],
  define: (command) => addCoordinatorFlags(command.argument('<run>', 'id of the run')),
  run: async ({ args, options, output }) => {
    const { runOfStatus } = await import('../run-entries.js');
    const status = await withTrainingClient(addressOf(options), options, (client) =>
      client.pauseRun(String(args[0])),
    );
    output.answer(runOfStatus(status), () => `run ${status.runId} pauses`);
  },
});

const resume = toCommand<CoordinatorFlags>({
  name: 'resume',
  summary: 'Let a paused run of a coordinator go on',
  examples: ['stoa runs resume RUN --coordinator 127.0.0.1:7070'],
  define: (command) => addCoordinatorFlags(command.argument('<run>', 'id of the run')),
  run: async ({ args, options, output }) => {
    const { runOfStatus } = await import('../run-entries.js');
    const status = await withTrainingClient(addressOf(options), options, (client) =>
      client.resumeRun(String(args[0])),
    );
    output.answer(runOfStatus(status), () => `run ${status.runId} goes on`);
  },
});

const fetchRun = toCommand<CoordinatorFlags & { out: string }>({
  name: 'fetch',
  summary: 'Fetch the files of a run that a coordinator has ended',
  examples: ['stoa runs fetch RUN --coordinator 127.0.0.1:7070 --out runs/a'],
  define: (command) => {
    command
      .argument('<run>', 'id of the run')
      .addOption(required('--out <dir>', 'folder to make; refused when it has something in it'));
    addCoordinatorFlags(command);
  },
  run: async ({ args, options, output }) => {
    const files = await withTrainingClient(addressOf(options), options, (client) =>
      client.fetchRunFiles(String(args[0]), options.out),
    );
    output.answer({ out: options.out, files: files.length }, () => `${files.length} files in ${options.out}`);
  },
});

export const command = toGroup('runs', 'List, show and compare runs', [
  list,
  show,
  diff,
  stop,
  pause,
  resume,
  fetchRun,
]);

function addressOf({ coordinator }: CoordinatorFlags): string {
  if (coordinator !== undefined) return coordinator;
  throw new UsageError('STOA_USAGE', 'give the coordinator that has the run: --coordinator HOST:PORT', {
    fields: { field: '--coordinator' },
  });
}

async function find(run: string, options: CoordinatorFlags): Promise<RunEntry> {
  const { readRun, runOfStatus } = await import('../run-entries.js');
  if (options.coordinator === undefined) return readRun(run);
  return withTrainingClient(options.coordinator, options, async (client) =>
    runOfStatus(await client.getRun(run)),
  );
}

function listText(runs: readonly RunEntry[], width: number): string {
  const rows = runs.map(({ run, state, create_time, result }) => {
    const metric = result?.metrics?.[LIST_METRIC];
    return [
      run,
      state,
      minute(create_time),
      result === undefined ? '–' : duration(result.seconds_total),
      typeof metric === 'number' ? metric.toFixed(4) : '–',
      result === undefined ? '–' : String(result.factors),
      result === undefined ? '–' : String(result.epochs),
    ];
  });
  const header = ['run', 'state', 'made (UTC)', 'time', LIST_METRIC, 'factors', 'epochs'];
  return textTable(rows, { header, width });
}

function showText(run: RunEntry, width: number): string {
  const lines = [`${run.run}: ${run.state}, made ${minute(run.create_time)} UTC, id ${run.run_id}`];
  if (run.error !== undefined) lines.push(`  ${run.error}`);
  const { result, settings } = run;
  if (result !== undefined) {
    lines.push(
      `  ${result.epochs} epochs in ${duration(result.seconds_total)}, ${result.workers} workers of ` +
        `${result.threads} threads, ${bytes(result.peak_rss_bytes)} in all${result.synthetic ? ', synthetic data' : ''}`,
    );
    for (const device of result.device_detail ?? []) lines.push(`  on ${deviceText(device)}`);
    if (result.metrics !== undefined) lines.push('', metricsTable(result.metrics, result.model, width, '  '));
  }
  if (settings !== undefined) {
    const rows = Object.entries(settings).map(([key, value]) => [key, String(value)]);
    lines.push('', textTable(rows, { width, indent: '  ' }));
  }
  return lines.join('\n');
}

interface Difference {
  name: string;
  first: unknown;
  second: unknown;
}

/** Settings and single numbers of the results that differ. */
function differencesOf(first: RunEntry, second: RunEntry): Difference[] {
  const [a, b] = [factsOf(first), factsOf(second)];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .filter((name) => a[name] !== b[name])
    .map((name) => ({ name, first: a[name], second: b[name] }));
}

function factsOf({ state, settings, result }: RunEntry): Record<string, unknown> {
  const isPlain = ([, value]: [string, unknown]): boolean => typeof value !== 'object' && value !== undefined;
  const { run_id: _, model_dir: __, ...rest } = result ?? ({} as Partial<NonNullable<RunEntry['result']>>);
  return {
    state,
    ...settings,
    ...Object.fromEntries(Object.entries(rest).filter(isPlain)),
    ...Object.fromEntries(Object.entries(result?.metrics ?? {}).filter(isPlain)),
  };
}

function shown(value: unknown): string {
  if (value === undefined) return '–';
  return typeof value === 'number' && !Number.isInteger(value) ? value.toPrecision(4) : String(value);
}
