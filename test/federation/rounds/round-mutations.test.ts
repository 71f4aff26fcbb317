// The simulator of federations finds bugs: each of the known ones is planted and must be found within so many seeds.

import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../common/package-root.js';
import { readText } from '../../house/source-files.js';
import { ROUND_MUTATIONS } from './round-mutations.js';

const SEEDS_MAX = 1000;
/** A mutation takes a second or two of a core that nobody else uses. */
const TEST_MS_MAX = 120_000;

interface Hunter {
  hunt(name: string, seedsMax: number, isOfRounds: boolean): { seed?: number; complaint?: string };
}

let hunter: Hunter;

beforeAll(async () => {
  const compiler = path.join(packageRoot, 'node_modules/typescript/bin/tsc');
  const project = path.join(packageRoot, 'tsconfig.simulation.json');
  const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', project], { encoding: 'utf8' });
  expect(status, stdout).toBe(0);
  hunter = (await import(path.join(packageRoot, 'dist/test/simulation/mutants.js'))) as Hunter;
}, TEST_MS_MAX);

describe('a bug planted in the rounds is found', () => {
  it.each(ROUND_MUTATIONS.map(({ name }) => name))(
    '%s',
    (name) => {
      const { seed, complaint } = hunter.hunt(name, SEEDS_MAX, true);
      expect(seed, `no seed up to ${SEEDS_MAX} finds it`).toBeGreaterThan(0);
      expect(complaint).not.toBe('');
    },
    TEST_MS_MAX,
  );
});

it('every planted bug stands in the table of docs/simulation.md', () => {
  const text = readText('docs/simulation.md');
  for (const { name } of ROUND_MUTATIONS) expect(text).toContain(`| ${name} |`);
});
