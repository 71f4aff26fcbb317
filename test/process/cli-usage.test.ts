// Wrong command lines through the real program: one sentence, the nearest name, exit code 2, and a clean stdout.

import { describe, expect, it } from 'vitest';
import { VERBS } from '../../cli/verb-table.js';
import { stoa } from '../support/stoa-process.js';

const NESTED = [
  'audit verify',
  'data import',
  'data synthesize',
  'data describe',
  'data split',
  'runs ls',
  'runs show',
  'runs diff',
  'runs stop',
  'runs fetch',
  'model ls',
  'model promote',
  'model rollback',
  'federation init',
  'federation invite',
  'federation join',
  'federation renew',
  'federation revoke',
  'federation members',
  'federation serve',
  'federation receipt',
];

describe('stoa', () => {
  it('shows all verbs without arguments and with --help, on stdout', async () => {
    for (const args of [[], ['--help']]) {
      const { exitCode, stdout, stderr } = await stoa(args);
      expect(exitCode).toBe(0);
      expect(stderr).toBe('');
      for (const { name } of VERBS) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    }
  });

  it('prints its version', async () => {
    expect((await stoa(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([
    [['trian'], 'unknown command "trian"; did you mean "train"?'],
    [['frobnicate'], 'unknown command "frobnicate"; see "stoa --help"'],
    [['data', 'improt', 'x'], 'unknown command "improt"; did you mean "import"?'],
    [['train', '--datta', 'x', '--out', 'y'], 'unknown option "--datta"; did you mean "--data"?'],
    [['train', '--out', 'y'], '"stoa train" needs --data <dataset>; see "stoa train --help"'],
    [['data', 'import', 'x.csv'], '"stoa data import" needs --out <dataset>; see "stoa data import --help"'],
    [['data', 'describe'], 'missing required argument "dataset"; see "stoa data describe --help"'],
    [['export', 'x', '--format', 'cvs', '--out', 'y'], 'allowed choices are npy, safetensors, parquet'],
    [
      ['train', '--data', 'x', '--out', 'y', '--workers', '0'],
      '--workers 0: expected a whole number from 1 to',
    ],
    [['recommend', '--model', 'x', '--user', 'u', '--limit', '1e9'], '--limit 1e9: expected a whole number'],
    [['recommend', '--user', 'u'], 'give either --model FOLDER or --server HOST:PORT'],
    [['serve', '--model', 'x', '--listen', 'here'], '--listen "here" is not an address; write HOST:PORT'],
    [['train', '--data', 'x', '--out', 'y', '--set', 'ials.factors'], 'is not KEY=VALUE'],
    [['train', '--data', 'x', '--out', 'y', '--set', 'ials.factor=8'], 'did you mean "ials.factors"?'],
    [
      ['train', '--data', 'x', '--out', 'y', '--set', 'ials.factors=0'],
      'ials.factors = 0: must be at least 1',
    ],
    [
      ['train', '--data', 'x', '--out', 'y', '--set', 'ials.factors=4096'],
      'ials.factors = 4096: must be at most 1024',
    ],
    [
      ['train', '--data', 'x', '--out', 'y', '--set', 'ials.regularization=-1'],
      'ials.regularization = -1: must be at least 0',
    ],
    [
      ['train', '--data', 'x', '--out', 'y', '--isa', 'sse'],
      'allowed choices are avx2, avx512, neon, baseline',
    ],
    [
      ['train', '--data', 'x', '--out', 'y', '--set', 'ials.solver=choleski'],
      'ials.solver = "choleski": must be one of cholesky, cg, ials++',
    ],
    [
      ['train', '--data', 'x', '--out', 'y', '--set', 'ials.gather=f16'],
      'ials.gather = "f16" is for ials.solver = cg',
    ],
    [
      ['data', 'split', 'x', '--strategy', 'temporal', '--at', 'noon', '--out', 'y'],
      '--at noon: expected a number',
    ],
  ])('%j is refused with exit code 2', async (args, message) => {
    const { exitCode, stdout, stderr } = await stoa(args);
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^stoa: [^\n]+\n$/);
    expect(stdout).toBe('');
    expect(exitCode).toBe(2);
  });

  it('gives a refusal as a document too with --json', async () => {
    const { exitCode, stdout } = await stoa(['train', '--data', 'x', '--out', 'y', '--set', 'k=1', '--json']);
    expect(exitCode).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: 'STOA_USAGE_UNKNOWN_KEY', fields: { field: 'k' }, exit_code: 2 },
    });
  });

  it.each([
    [['serve', '--model', 'x', '--listen', '127.0.0.1:0', '--redis', 'r'], '--redis is not built yet'],
  ])('%j says that it is not built yet', async (args, message) => {
    const { exitCode, stderr } = await stoa(args);
    expect(stderr).toContain(message);
    expect(exitCode).toBe(1);
  });

  it('an address of etcd that is none is refused before anything starts', async () => {
    const args = ['coordinator', '--listen', '127.0.0.1:0', '--state', 'x', '--etcd', 'e'];
    const { exitCode, stderr } = await stoa(args);
    expect(stderr).toBe('stoa: --etcd "e" is not a URL; write it like http://127.0.0.1:2379\n');
    expect(exitCode).toBe(2);
  });

  it.each([...VERBS.filter(({ load }) => load !== undefined).map(({ name }) => name), ...NESTED])(
    'helps with "%s": usage, flags, and an example where something can be run',
    async (verb) => {
      const { exitCode, stdout, stderr } = await stoa([...verb.split(' '), '--help']);
      expect(exitCode).toBe(0);
      expect(stderr).toBe('');
      expect(stdout).toMatch(new RegExp(`^Usage: stoa ${verb}`));
      const isGroup = VERBS.some((entry) => entry.name === verb && entry.isGroup === true);
      if (isGroup) return;
      expect(stdout).toMatch(new RegExp(`Examples?:\\n  stoa ${verb}`));
      for (const flag of ['--json', '--quiet', '--verbose']) expect(stdout).toContain(flag);
    },
  );
});
