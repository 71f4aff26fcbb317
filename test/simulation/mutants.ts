// `npm run simulate -- --mutations`: plants each bug in turn and says which seed finds it.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ROUND_MUTATIONS } from '../federation/rounds/round-mutations.js';
import { MUTATIONS } from './mutations.js';

export interface Verdict {
  readonly name: string;
  /** The first seed that finds it; undefined: none did. */
  readonly seed?: number;
  readonly complaint?: string;
}

/** Runs the seeds from 1 on until one finds the mutation, `seedsMax` at most. */
export function hunt(name: string, seedsMax: number): Verdict {
  const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [
      '--import',
      here('./mutate.js'),
      here('./main.js'),
      '--json',
      '--first',
      '--seeds',
      String(seedsMax),
      ...(ROUND_MUTATIONS.some((one) => one.name === name) ? ['--rounds'] : []),
    ],
    { env: { ...process.env, STOA_MUTATION: name }, encoding: 'utf8' },
  );
  if (status === 0) return { name };
  const failed = stdout === '' ? undefined : JSON.parse(stdout).failed[0];
  if (failed === undefined) throw new Error(`mutation "${name}" could not be planted: ${stderr}`);
  return { name, seed: failed.seed, complaint: failed.complaint };
}

/** Prints a row of the table in docs/simulation.md for each mutation; false when one survives. */
export function huntAll(seedsMax: number, isOfRounds: boolean): boolean {
  process.stdout.write('| Mutation | First seed | What the oracle says |\n|---|---:|---|\n');
  const mutations = isOfRounds ? ROUND_MUTATIONS : MUTATIONS;
  const verdicts = mutations.map(({ name }) => {
    const verdict = hunt(name, seedsMax);
    process.stdout.write(`| ${name} | ${verdict.seed ?? 'survives'} | ${verdict.complaint ?? ''} |\n`);
    return verdict;
  });
  return verdicts.every(({ seed }) => seed !== undefined);
}
