// What one lying institution of ten can do to one course, on real course data: the exposure of the course with the plain
// sum and with robust aggregation, and what robustness costs in recall. Exact federated iALS in one process.
// `node dist/bench/poisoning.js [--data DIR] [--sweeps N] [--json]`

import { createReadStream } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { createGunzip } from 'node:zlib';
import { packageRoot } from '../common/package-root.js';
import { createRandom } from '../common/random.js';
import type { ItemContribution } from '../federation/robust/item-contribution.js';
import { type RobustRule, robustSums } from '../federation/robust/robust-sums.js';
import { csrOf, type Quality, qualityOf, trainTogether, type World } from './poisoning/institutions.js';
import { type Lie, lie, type Tamper } from './poisoning/lies.js';

const FACTORS = 16;
const INSTITUTIONS = 10;
/** Every so many learners are measured: a ranking of all courses takes longer than a sweep. */
const EVERY = 20;
const RULES: readonly RobustRule[] = ['sum', 'trimmed', 'median'];
const HOW: readonly Lie['how'][] = ['b alone', 'the same x 100'];
/** Places by popularity of the courses that are lied about; at K = 16 rarer ones are shown to nobody. */
const RANKS = [20, 100];
/** Of medium size among the ten. */
const LIAR = 4;

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: path.join(packageRoot, '../shared/datasets') },
    sweeps: { type: 'string', default: '4' },
    json: { type: 'boolean', default: false },
  },
});

const world = await readWorld(path.join(values.data, 'mooc/interactions.csv.gz'));
const popularity = new Float64Array(world.items);
for (const { rows } of world.institutions)
  for (const item of rows.idx) popularity[item] = popularity[item]! + 1;
const ranked = Array.from(popularity.keys()).sort((a, b) => popularity[b]! - popularity[a]!);

const honest = new Map(RULES.map((rule) => [rule, train(rule)]));
const base = honest.get('sum')!;
const rows = RANKS.flatMap((rank) =>
  HOW.map((how) => {
    const course = ranked[rank]!;
    const rises = RULES.map((rule) => {
      const { exposure } = train(rule, lie({ who: LIAR, course, how }, FACTORS));
      return [rule, exposure[course]! / base.exposure[course]!] as const;
    });
    const row = { rank, learners: popularity[course]!, exposure: base.exposure[course]!, how };
    process.stderr.write(`${JSON.stringify({ ...row, ...Object.fromEntries(rises) })}\n`);
    return { ...row, rise: Object.fromEntries(rises) as Record<RobustRule, number> };
  }),
);
const recall = Object.fromEntries(RULES.map((rule) => [rule, honest.get(rule)!.recall]));
if (values.json) process.stdout.write(`${JSON.stringify({ recall, rows })}\n`);
else process.stdout.write(`${table()}\n`);

function train(rule: RobustRule, tamper?: Tamper): Quality {
  const aggregate = (contributions: ItemContribution[]) =>
    robustSums(contributions, { items: world.items, factors: FACTORS, rule });
  const model = trainTogether(world, { factors: FACTORS, sweeps: Number(values.sweeps), aggregate, tamper });
  return qualityOf(world, model, EVERY);
}

/** Learners at random institutions, the first of which has ten times as many as the last; the last course is held out. */
async function readWorld(file: string): Promise<World> {
  const lists = new Map<string, [position: number, item: string][]>();
  const lines = createInterface({ input: createReadStream(file).pipe(createGunzip()) });
  let isHeader = true;
  for await (const line of lines) {
    if (isHeader) {
      isHeader = false;
      continue;
    }
    const [user, item, position] = line.split(',') as [string, string, string];
    const list = lists.get(user) ?? [];
    list.push([Number(position), item]);
    lists.set(user, list);
  }
  const ids = new Map(
    [...new Set([...lists.values()].flat().map(([, item]) => item))].sort().map((id, row) => [id, row]),
  );
  const random = createRandom(1);
  const shares = Array.from({ length: INSTITUTIONS }, (_, n) => INSTITUTIONS - n);
  const total = shares.reduce((sum, share) => sum + share, 0);
  const parts: number[][][] = shares.map(() => []);
  for (const list of lists.values()) {
    const institution = drawn(shares, random.next() * total);
    parts[institution]!.push(list.sort(([a], [b]) => a - b).map(([, item]) => ids.get(item)!));
  }
  return {
    items: ids.size,
    institutions: parts.map((users, n) => {
      const held = Int32Array.from(users, (list) => list.pop()!);
      return { name: `institution-${n + 1}`, rows: csrOf(users, ids.size), held };
    }),
  };
}

/** The part of a line of shares that a point lies in. */
function drawn(parts: readonly number[], point: number): number {
  let end = 0;
  for (const [part, share] of parts.entries()) {
    end += share;
    if (point < end) return part;
  }
  return parts.length - 1;
}

function table(): string {
  const lines = rows.map(({ learners, exposure, how, rise }) =>
    [learners, exposure.toFixed(4), how, ...RULES.map((rule) => rise[rule].toFixed(2))].join(' | '),
  );
  return [
    `recall@10 without a lie: ${RULES.map((rule) => `${rule} ${recall[rule]!.toFixed(4)}`).join(', ')}`,
    '| Learners of the course | exposure@10 | lie | sum | trimmed | median |',
    '|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`),
  ].join('\n');
}
