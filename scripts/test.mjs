// `npm test`: builds what is out of date, lints, checks types, runs all tests with coverage. Needs nothing installed.
// Arguments go to vitest (`npm test -- test/models`); with any, only those tests run, without lint and coverage.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { build, root, runOrExit, say } from './setup.mjs';

/** Share of lines that the tests must run through, in each of these folders. */
const COVERAGE_MIN = 85;
const COVERED_FOLDERS = ['models', 'datasets', 'federation', 'coordinator', 'worker'];

const VITEST = 'node_modules/vitest/vitest.mjs';
const selection = process.argv.slice(2);

build({ quiet: true });
if (selection.length > 0) {
  process.exit(await vitest(['run', ...selection]));
}

say('lint (biome, buf)…');
runOrExit(
  process.execPath,
  ['node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'],
  'biome',
);
runOrExit(process.execPath, ['node_modules/@bufbuild/buf/bin/buf', 'lint'], 'buf lint');
say('types…');
runOrExit(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--noEmit'],
  'the check of types',
);
// Tests of several coordinators need it, and say why they are skipped where there is none.
spawnSync(process.execPath, ['scripts/etcd.mjs'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
say('tests…');
rmSync(path.join(root, 'coverage'), { recursive: true, force: true });
process.exit(await vitest(['run', '--coverage'], coverageReport));

/**
 * Runs vitest and answers its exit code. Its closing summary is held back until `report` has had its say, so that the
 * summary is the last thing that is read. `report` answers false for a failure.
 */
function vitest(args, report = () => true) {
  const child = spawn(process.execPath, [VITEST, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}) },
  });
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => child.kill(name));
  let rest = '';
  let heldBack = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (text) => {
    if (heldBack !== '') {
      heldBack += text;
      return;
    }
    rest += text;
    const at = summaryStart(rest);
    const ready = at === undefined ? rest.lastIndexOf('\n') + 1 : at;
    process.stdout.write(rest.slice(0, ready));
    rest = rest.slice(ready);
    if (at !== undefined) heldBack = rest;
  });
  return new Promise((resolve) => {
    child.on('close', (code) => {
      const isGood = report();
      process.stdout.write(heldBack === '' ? rest : heldBack);
      resolve(code !== 0 ? (code ?? 1) : isGood ? 0 : 1);
    });
  });
}

/** Where the line "Test Files  … passed" begins, colours or not. */
function summaryStart(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with ESC.
  const match = /^(?:\u001b\[[\d;]*m|\s)*Test Files\b/m.exec(text);
  return match?.index;
}

function coverageReport() {
  const summary = readSummary();
  if (summary === undefined) {
    console.log('\n Coverage    not measured, since tests failed');
    return false;
  }
  console.log('\n Lines that the tests ran through');
  let isGood = true;
  for (const folder of COVERED_FOLDERS) {
    const { covered, total } = linesUnder(summary, folder);
    const percent = total === 0 ? 100 : (100 * covered) / total;
    const isEnough = percent >= COVERAGE_MIN;
    isGood &&= isEnough;
    const verdict = isEnough ? '' : `  below ${COVERAGE_MIN} %`;
    console.log(`   ${folder.padEnd(12)} ${percent.toFixed(1)} % of ${total}${verdict}`);
  }
  console.log('');
  return isGood;
}

function readSummary() {
  try {
    return JSON.parse(readFileSync(path.join(root, 'coverage/coverage-summary.json'), 'utf8'));
  } catch {
    return undefined;
  }
}

function linesUnder(summary, folder) {
  const prefix = path.join(root, folder) + path.sep;
  let covered = 0;
  let total = 0;
  for (const [file, { lines }] of Object.entries(summary)) {
    if (!file.startsWith(prefix)) continue;
    covered += lines.covered;
    total += lines.total;
  }
  return { covered, total };
}
