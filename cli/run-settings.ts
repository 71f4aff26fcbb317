// The settings of a run from a file and from the command line, and their help.

import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { parseDocument } from 'yaml';
import { messageOf, NotFoundError, UsageError } from '../common/errors.js';
import {
  FACTORS_MAX,
  parseRunConfig,
  parseSetFlags,
  type RunConfig,
  type RunConfigKey,
} from '../coordinator/plan/run-config.js';
import { collect } from './verb.js';

export interface SettingFlags {
  config?: string;
  set?: string[];
}

/** Columns of the help; commander wraps the rest of it there too. */
const HELP_WIDTH = 80;

const HELP: Readonly<Record<RunConfigKey, string>> = {
  model: 'what is trained: ials; bpr (pairwise ranking) or mf (ratings), both by SGD',
  'ials.objective': 'ials or hu2008 (Hu, Koren, Volinsky 2008)',
  'ials.weights': 'binary, or value: an interaction weighs alpha × its value',
  'ials.factors': `K, numbers that describe a user or an item; 1 to ${FACTORS_MAX}`,
  'ials.regularization': 'λ, 0 or more',
  'ials.alpha0': 'α₀, weight of the pairs that were not seen (ials)',
  'ials.alpha': 'α, scale of the values',
  'ials.nu': 'ν, how the penalty grows with the count; 0 to 1 (ials)',
  'ials.solver': 'cholesky (exact), cg (a few steps, faster) or ials++ (blocks of dimensions, each exact)',
  'ials.cg_steps': 'steps of cg for each row',
  'ials.block': 'dimensions of a block of ials++; K or more is exact',
  'ials.gather': 'precision in which cg reads the rows of the other side: f32 or f16 (faster)',
  'ials.init_stddev': 'spread of the initial factors',
  'bpr.factors': 'K of bpr, biases not counted',
  'bpr.learning_rate': 'first step length',
  'bpr.schedule': 'constant, inverse (1 / (1 + decay × epoch)) or cosine (to 0)',
  'bpr.decay': 'of inverse',
  'bpr.regularization': 'λ of factors and biases',
  'bpr.negatives': 'items not taken are drawn uniform, or by popularity',
  'bpr.popularity_exponent': 'an item of n users is drawn as often as n^this',
  'bpr.init_stddev': 'spread of the initial factors',
  'mf.factors': 'K of mf, biases not counted',
  'mf.learning_rate': 'first step length',
  'mf.schedule': 'constant, inverse or cosine, as for bpr',
  'mf.decay': 'of inverse',
  'mf.regularization': 'λ of factors and biases',
  'mf.init_stddev': 'spread of the initial factors',
  'train.deterministic': 'only workers that give the same bits take part: true or false',
  'train.audit_share': 'share of the blocks that two workers compute, to find one that is wrong; 0: none',
  'train.epochs': 'passes: users from items, then items from users',
  'train.seed': 'seed of the initial factors',
  'train.loss': 'compute the loss after every phase: true or false',
  'train.sync': 'phases (ials); bsp, ssp:S, asp or local:K (bpr, mf; default bsp)',
  'train.staleness': 'S of ssp: clocks that a read may be behind',
  'train.steps': 'clocks of an epoch (bpr, mf): blocks share what they learned after each',
  'train.early_stopping': 'epochs without a lower validation loss that end training; 0: none do (bpr, mf)',
  'train.validation_share': 'share kept from training to measure that loss',
  'train.checkpoint_epochs': 'least epochs between checkpoints; 0: only when stopped',
  'train.checkpoint_keep': 'checkpoints kept, 1 to 100',
  'federated.masking': 'with --federated: the coordinator sees sums over participants alone: true or false',
  'federated.cohort_min': 'fewest participants of a sum',
  'federated.epsilon': 'ε of the run for each learner: noise on all that leaves; 0: none',
  'federated.delta': 'δ of the run',
  'federated.honest_min': 'participants whose noise is in every sum; 0: federated.cohort_min',
  'federated.rows_max': 'with ε: rows that one learner weighs in with, fully',
  'federated.row_norm_max': 'with ε: norm that a learner’s factors are shortened to',
};

export function addSettingFlags(command: Command): void {
  command
    .option('--config <file>', 'YAML file with settings')
    .option('--set <key=value>', 'one setting, repeatable; wins over the file, the last one wins', collect);
}

/** Every setting with its default, for --help. */
export function settingsHelp(): string {
  const defaults = parseRunConfig({});
  const keys = Object.keys(HELP) as RunConfigKey[];
  const width = Math.max(...keys.map((key) => key.length));
  const lines = keys.map((key) => {
    const start = `  ${key.padEnd(width)}  ${String(defaults[key]).padEnd(8)}  `;
    return start + wrap(HELP[key], HELP_WIDTH - start.length).join(`\n${' '.repeat(start.length)}`);
  });
  return ['Settings, with their defaults (--set KEY=VALUE):', ...lines].join('\n');
}

function wrap(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1]!;
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/**
 * Reads the file, lets the flags win over it, and checks all.
 *
 * @throws {NotFoundError} no such file.
 * @throws {UsageError} not YAML; an unknown key; a value out of range.
 */
export async function loadRunConfig(flags: SettingFlags): Promise<RunConfig> {
  const fromFile = flags.config === undefined ? {} : await readSettings(flags.config);
  const merged: Record<string, unknown> = { ...fromFile };
  for (const [key, value] of Object.entries(parseSetFlags(flags.set ?? []))) {
    // Taken out first: the last of equal keys wins, and a key that is set again would keep its old place.
    delete merged[key];
    merged[key] = value;
  }
  return parseRunConfig(merged);
}

async function readSettings(file: string): Promise<Record<string, unknown>> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new NotFoundError('STOA_NOT_FOUND_FILE', `--config ${file} cannot be read: ${messageOf(error)}`, {
      fields: { field: '--config', file },
      cause: error,
    });
  });
  const document = parseDocument(text);
  const problem = document.errors[0];
  if (problem !== undefined) {
    const line = problem.linePos?.[0].line ?? 1;
    throw new UsageError(
      'STOA_USAGE',
      `${file} line ${line} is not YAML: ${problem.message.split('\n')[0]!.replace(/ at line.*/, '')}`,
      { fields: { field: '--config', file, line } },
    );
  }
  const settings: unknown = document.toJS();
  if (settings === null || settings === undefined) return {};
  if (typeof settings === 'object' && !Array.isArray(settings)) return settings as Record<string, unknown>;
  throw new UsageError(
    'STOA_USAGE',
    `${file} must be a mapping of settings, for example "ials.factors: 64"`,
    {
      fields: { field: '--config', file },
    },
  );
}
