// The simulator finds bugs: each of the known ones is planted in the machine and must be found within so many seeds.
// docs/simulation.md has the table.

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../common/package-root.js';
import { ROUND_MUTATIONS } from '../federation/rounds/round-mutations.js';
import { readText } from '../house/source-files.js';
import { MUTATIONS } from './mutations.js';

const SEEDS_MAX = 4000;
/** A mutation takes a few seconds of a core that nobody else uses. */
const TEST_MS_MAX = 120_000;

interface Hunter {
  hunt(name: string, seedsMax: number): { seed?: number; complaint?: string };
}

let hunter: Hunter;

beforeAll(async () => {
  const compiler = path.join(packageRoot, 'node_modules/typescript/bin/tsc');
  const project = path.join(packageRoot, 'tsconfig.simulation.json');
  const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', project], { encoding: 'utf8' });
  expect(status, stdout).toBe(0);
  hunter = (await import(path.join(packageRoot, 'dist/test/simulation/mutants.js'))) as Hunter;
}, TEST_MS_MAX);

const ALL = [...MUTATIONS, ...ROUND_MUTATIONS];

describe('a planted bug is found', () => {
  it.each(ALL.map(({ name }) => name))(
    '%s',
    (name) => {
      const { seed, complaint } = hunter.hunt(name, SEEDS_MAX);
      expect(seed, `no seed up to ${SEEDS_MAX} finds it`).toBeGreaterThan(0);
      expect(complaint).not.toBe('');
    },
    TEST_MS_MAX,
  );
});

it('every planted bug stands in the table of docs/simulation.md', () => {
  const text = readText('docs/simulation.md');
  for (const { name } of ALL) expect(text).toContain(`| ${name} |`);
});
