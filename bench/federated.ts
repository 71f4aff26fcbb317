// What masking costs: sums over virtual participants in this process, bytes and CPU seconds of a participant and of the
// server, with and without dropouts, beside the same sums unmasked. Every sum is checked to be exact.
//
//   npm run bench:federated -- [--participants 10,50,100] [--words N] [--json]
//
// CPU seconds are of one thread, whatever else the machine does. `neighbours` is how many peers each participant would
// mask with in a sparse graph that is as safe; "all" where no smaller number is.

import { parseArgs } from 'node:util';
import { measureMaskedSum, type SumCost } from './federated/masked-sum.js';
import { neighboursNeeded } from './federated/neighbours-needed.js';
import { measureShares, type ShareTimes } from './federated/share-times.js';
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
    json: { type: 'boolean', default: false },
  },
});
const words = Number(values.words);
const sums: SumCost[] = [];
const shares: ShareTimes[] = [];
// The first sum compiles the code.
measureMaskedSum({ participants: 5, dropouts: 1, words });
for (const participants of values.participants.split(',').map(Number)) {
  for (const dropouts of [0, Math.floor(participants / 10)]) {
    console.error(`${participants} participants, ${dropouts} drop out…`);
    sums.push(measureMaskedSum({ participants, dropouts, words }));
  }
  shares.push(await measureShares(participants));
}
const graphs = THREATS.flatMap((threat) =>
  GRAPH_SIZES.map((participants) => ({
    ...threat,
    participants,
    neighbours: neighboursNeeded({ participants, ...threat }) ?? participants - 1,
  })),
);
if (values.json) console.log(JSON.stringify({ machine: machineLine(), sums, shares, graphs }));
else print();

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
