// `npm run simulate`: runs many seeds, or one of them again with its trace.

import { parseArgs } from 'node:util';
import { simulateRounds } from '../federation/rounds/simulate-rounds.js';
import { simulateLeaders } from './leaders/simulate-leaders.js';
import { huntAll } from './mutants.js';
import { type Outcome, simulateRun } from './simulate-run.js';

const USAGE = `usage: npm run simulate -- [--seeds N] [--from S] [--seed S] [--first] [--mutations] [--json]

  --seeds N   seeds S to S + N - 1 (default 1000): of each a run, and coordinators that stand in for one another
  --from S    the first seed (default 1)
  --seed S    one run again, with the trace of its last events
  --first     stop at the first seed that fails
  --mutations plant known bugs, one after another, and say which seed finds each
  --rounds    federations and their rounds, not clusters and their blocks
  --json      one JSON document
`;

/** Failures that are shown; the count tells of the others. */
const SHOWN = 5;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    first: { type: 'boolean', default: false },
    mutations: { type: 'boolean', default: false },
    rounds: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/** Everything that a seed is run through. */
function simulateSeed(seed: number, isTraced = false): Outcome[] {
  if (values.rounds) return [simulateRounds(seed, isTraced)];
  return [simulateRun(seed, isTraced), simulateLeaders(seed, isTraced)];
}

function wholeNumber(text: string, flag: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 2 ** 31) return value;
  process.stderr.write(`${flag} must be a whole number from 1 to 2147483648, it is "${text}"\n\n${USAGE}`);
  process.exit(2);
}

interface Summary {
  seeds: number;
  failed: { seed: number; complaint: string; replay: string }[];
  failures: number;
  events: number;
  seconds: number;
  families: Record<string, number>;
  counts: Record<string, number>;
  faults: Record<string, number>;
}

function simulate(from: number, count: number): Summary {
  const startMs = performance.now();
  const summary: Summary = {
    seeds: count,
    failed: [],
    failures: 0,
    events: 0,
    seconds: 0,
    families: {},
    counts: {},
    faults: {},
  };
  for (let seed = from; seed < from + count; seed++) {
    for (const outcome of simulateSeed(seed)) countIn(summary, outcome);
    if (values.first && summary.failures > 0) break;
    if (process.stderr.isTTY && seed % 100 === 0) process.stderr.write(`\r${seed - from + 1} of ${count} `);
  }
  summary.seconds = Math.round(performance.now() - startMs) / 1000;
  return summary;
}

function countIn(summary: Summary, outcome: Outcome): void {
  const { seed, family, complaint } = outcome;
  summary.events += outcome.events;
  summary.families[family] = (summary.families[family] ?? 0) + 1;
  addTo(summary.counts, outcome.counts);
  addTo(summary.faults, outcome.faults);
  if (complaint === undefined) return;
  summary.failures++;
  if (summary.failures > SHOWN) return;
  if (!values.json) showFailure(outcome);
  summary.failed.push({ seed, complaint, replay: replayOf(seed) });
}

function addTo(sums: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) sums[name] = (sums[name] ?? 0) + count;
}

function replayOf(seed: number): string {
  return `npm run simulate -- ${values.rounds ? '--rounds ' : ''}--seed ${seed}`;
}

function showFailure({ seed, complaint, trace }: Outcome): void {
  process.stdout.write(`\nseed ${seed}: ${complaint}\nreplay: ${replayOf(seed)}\n`);
  process.stdout.write(`${trace.slice(-20).join('\n')}\n`);
}

function replay(seed: number): number {
  const outcomes = simulateSeed(seed, true);
  if (values.json) process.stdout.write(`${JSON.stringify(outcomes)}\n`);
  else for (const outcome of outcomes) show(outcome);
  return outcomes.every(({ complaint }) => complaint === undefined) ? 0 : 1;
}

function show({ seed, family, workers, events, endMs, counts, faults, complaint, trace }: Outcome): void {
  process.stdout.write(`${trace.join('\n')}\n\n`);
  process.stdout.write(
    `seed ${seed}: ${family}, ${workers} ${values.rounds ? 'participants' : 'workers'}, ${events} events, ${(endMs / 1000).toFixed(1)} s\n`,
  );
  process.stdout.write(`${JSON.stringify(counts)}\n${JSON.stringify(faults)}\n`);
  process.stdout.write(complaint === undefined ? 'every promise was kept\n' : `BROKEN: ${complaint}\n`);
}

function main(): number {
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (values.mutations) return huntAll(wholeNumber(values.seeds, '--seeds'), values.rounds) ? 0 : 1;
  if (values.seed !== undefined) return replay(wholeNumber(values.seed, '--seed'));
  const summary = simulate(wholeNumber(values.from, '--from'), wholeNumber(values.seeds, '--seeds'));
  if (values.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  else {
    const { seeds, failures, events, seconds, families, counts, faults } = summary;
    process.stdout.write(
      `\n${seeds} runs, ${failures} failed, ${events} events, ${seconds} s\n` +
        `families ${JSON.stringify(families)}\nfaults   ${JSON.stringify(faults)}\nmet      ${JSON.stringify(counts)}\n`,
    );
  }
  return summary.failures === 0 ? 0 : 1;
}

process.exitCode = main();
