// What masking costs: sums over virtual participants in this process, bytes and CPU seconds of a participant and of the
// server, with and without dropouts, beside the same sums unmasked. Every sum is checked to be exact.
//
//   npm run bench:federated -- [--participants 10,50,100] [--words N] [--json]
//   npm run bench:federated -- --sweeps [--data DATASET | --mooc | --file FILE] [--solvers cg,cholesky] [--factors 64]
//     [--epochs 11] [--repeats 3] [--device native] [--json]
//
// With --sweeps instead: seconds of a sweep with 5 workers, with 5 participants, and with 5 that mask, all of them real
// processes on this machine with one thread each, by turns.
//
// CPU seconds are of one thread, whatever else the machine does. `neighbours` is how many peers each participant would
// mask with in a sparse graph that is as safe; "all" where no smaller number is.

import { parseArgs } from 'node:util';
import { measureMaskedSum, type SumCost } from './federated/masked-sum.js';
import { neighboursNeeded } from './federated/neighbours-needed.js';
import { measureShares, type ShareTimes } from './federated/share-times.js';
import { measureSweeps, type SweepCost } from './federated/sweeps.js';
import { benchData, DATA_OPTIONS } from './support/bench-data.js';
import { machineLine } from './support/machine-line.js';
import { markdownTable } from './support/markdown-table.js';

/** Up to a third may drop out or help the server: what the threshold of the whole graph stands, each by itself. */
const THREATS = [
  { corrupt: 0.05, dropouts: 0.05 },
  { corrupt: 0.1, dropouts: 0.1 },
  { corrupt: 0.2, dropouts: 0.1 },
  { corrupt: 0.3, dropouts: 0.3 },
];
const GRAPH_SIZES = [50, 100, 200, 1000];

const { values } = parseArgs({
  options: {
    participants: { type: 'string', default: '10,50,100' },
    words: { type: 'string', default: '65536' },
    ...DATA_OPTIONS,
    sweeps: { type: 'boolean', default: false },
    solvers: { type: 'string', default: 'cg,cholesky' },
    factors: { type: 'string', default: '64' },
    epochs: { type: 'string', default: '11' },
    repeats: { type: 'string', default: '3' },
    device: { type: 'string', default: 'native' },
    json: { type: 'boolean', default: false },
  },
});
const words = Number(values.words);
const sums: SumCost[] = [];
const shares: ShareTimes[] = [];
const graphs = THREATS.flatMap((threat) =>
  GRAPH_SIZES.map((participants) => ({
    ...threat,
    participants,
    neighbours: neighboursNeeded({ participants, ...threat }) ?? participants - 1,
  })),
);
await (values.sweeps ? compareSweeps() : costOfMasks());

async function compareSweeps(): Promise<void> {
  const data = await benchData(values);
  const settings = {
    data: data.train,
    participants: 5,
    factors: Number(values.factors),
    sweeps: Number(values.epochs),
    repeats: Number(values.repeats),
    device: values.device,
  };
  const sweeps = values.solvers.split(',').flatMap((solver) => measureSweeps(solver, settings));
  if (values.json) {
    console.log(JSON.stringify({ machine: machineLine(), data: data.name, settings, sweeps }));
    return;
  }
  console.log(`${machineLine()}\n`);
  console.log(
    `${data.name}, K = ${values.factors}, ${values.device}, ${values.epochs} sweeps, ${values.repeats} times\n`,
  );
  console.log(sweepTable(sweeps));
}

function sweepTable(sweeps: readonly SweepCost[]): string {
  const head = [
    'solver',
    'training',
    'sweep s',
    'fastest s',
    'to central',
    'CPU s',
    'to central',
    'rest s',
    'upload MB a sweep',
    'download MB',
  ];
  const rows = sweeps.map((one) => {
    const central = sweeps.find(({ solver, kind }) => solver === one.solver && kind === 'central')!;
    return [
      one.solver,
      one.kind,
      one.sweep_s.toFixed(2),
      one.sweep_min_s.toFixed(2),
      (one.sweep_s / central.sweep_s).toFixed(2),
      one.sweep_cpu_s.toFixed(2),
      (one.sweep_cpu_s / central.sweep_cpu_s).toFixed(2),
      one.rest_s.toFixed(1),
      one.kind === 'central' ? '–' : (one.upload_bytes / 1e6).toFixed(2),
      one.kind === 'central' ? '–' : (one.download_bytes / 1e6).toFixed(2),
    ];
  });
  return markdownTable(head, rows);
}

async function costOfMasks(): Promise<void> {
  // The first sum compiles the code.
  measureMaskedSum({ participants: 5, dropouts: 1, words });
  for (const participants of values.participants.split(',').map(Number)) {
    for (const dropouts of [0, Math.floor(participants / 10)]) {
      console.error(`${participants} participants, ${dropouts} drop out…`);
      sums.push(measureMaskedSum({ participants, dropouts, words }));
    }
    shares.push(await measureShares(participants));
  }
  if (values.json) console.log(JSON.stringify({ machine: machineLine(), sums, shares, graphs }));
  else print();
}

function print(): void {
  console.log(`${machineLine()}\n`);
  console.log(sumTable());
  console.log(`\n${shareTable()}`);
  console.log(`\n${graphTable()}`);
}

function sumTable(): string {
  const head = [
    'participants',
    'dropouts',
    'words',
    'upload MB',
    'of it not words KB',
    'download KB',
    'participant CPU s',
    'of it masks',
    'unmasked',
    'server CPU s',
    'of it unmasking',
    'unmasked',
  ];
  const rows = sums.map((sum) => [
    sum.participants,
    sum.dropouts,
    sum.words,
    (sum.upload_bytes / 1e6).toFixed(2),
    ((sum.upload_bytes - 8 * sum.words) / 1e3).toFixed(1),
    (sum.download_bytes / 1e3).toFixed(1),
    sum.participant_cpu_s.toFixed(4),
    sum.participant_mask_cpu_s.toFixed(4),
    sum.unmasked_participant_cpu_s.toFixed(4),
    sum.server_cpu_s.toFixed(3),
    sum.server_unmask_cpu_s.toFixed(3),
    sum.unmasked_server_cpu_s.toFixed(3),
  ]);
  return markdownTable(head, rows);
}

function shareTable(): string {
  const head = [
    'participants',
    'threshold',
    'split ms',
    'combine all ms',
    'package split ms',
    'package combine all ms',
  ];
  const rows = shares.map((one) => [
    one.participants,
    one.threshold,
    one.split_ms.toFixed(2),
    one.combine_all_ms.toFixed(1),
    one.package_split_ms.toFixed(2),
    one.package_combine_all_ms.toFixed(1),
  ]);
  return markdownTable(head, rows);
}

function graphTable(): string {
  const head = ['corrupt', 'drop out', ...GRAPH_SIZES.map((size) => `neighbours of ${size}`)];
  const rows = THREATS.map(({ corrupt, dropouts }) => [
    `${100 * corrupt} %`,
    `${100 * dropouts} %`,
    ...graphs
      .filter((graph) => graph.corrupt === corrupt && graph.dropouts === dropouts)
      .map(({ participants, neighbours }) => (neighbours === participants - 1 ? 'all' : neighbours)),
  ]);
  return markdownTable(head, rows);
}
