// `npm run demo:federated`: institutions train together as processes of this machine, and what it is worth to each is
// shown beside central training. On real course data where `--data FILE` names some, or `../shared/datasets` has them;
// else on synthetic ones. Needs nothing installed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { build, root } from './setup.mjs';

const FOLDER = '.stoa-demo/federated';
const REAL = path.join(root, '../shared/datasets/mooc/interactions.csv.gz');

const { values } = parseArgs({
  options: {
    data: { type: 'string', default: REAL },
    participants: { type: 'string', default: '5' },
    factors: { type: 'string', default: '32' },
  },
});

build({ quiet: true });
const startMs = performance.now();
const out = path.join(root, FOLDER);
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const at = (...names) => path.join(FOLDER, ...names);

const isReal = existsSync(values.data);
say(isReal ? `real enrolments: ${values.data}` : 'no real data at hand: synthetic enrolments');
if (isReal) {
  stoa('data', 'import', values.data, '--time-col', 'position', '--out', at('data'), '--quiet');
} else {
  const size = ['--users', '20000', '--items', '800', '--interactions', '200000', '--seed', '1'];
  stoa('data', 'synthesize', ...size, '--out', at('enrolments.csv'), '--quiet');
  stoa('data', 'import', at('enrolments.csv'), '--out', at('data'), '--synthetic', '--quiet');
}
stoa('data', 'split', at('data'), '--strategy', 'leave-last-out', '--out', at('split'), '--quiet');

say(`${values.participants} institutions, each a process with its own learners; nothing but sums leaves`);
stoa(
  ...['train', '--data', at('split'), '--out', at('report'), '--federated', '--report'],
  ...['--participants', values.participants, '--partition', 'skewed'],
  ...['--set', `ials.factors=${values.factors}`, '--set', 'ials.solver=cg', '--set', 'ials.cg_steps=2'],
  ...['--set', 'ials.alpha0=0.05', '--set', 'train.epochs=3'],
);

const identity = at('report', 'private', 'participants', 'institution-1', 'identity');
say('what left institution 1 in the run with masks and noise, by its own log');
stoa('audit', 'verify', path.join(identity, 'audit'));
say('its account of ε, written before anything left');
const ledger = readFileSync(path.join(root, identity, 'ledger', 'ledger.jsonl'), 'utf8')
  .trimEnd()
  .split('\n');
for (const line of ledger.slice(0, 4)) console.log(`  ${line.slice(65, 65 + 130)}…`);
console.log(`  ${ledger.length} lines in ${path.join(identity, 'ledger')}`);
say(`done in ${((performance.now() - startMs) / 1000).toFixed(0)} s`);

function say(text) {
  console.log(`\n— ${text}`);
}

function stoa(...args) {
  const { status } = spawnSync(process.execPath, ['dist/cli/main.js', ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(status ?? 1);
}
