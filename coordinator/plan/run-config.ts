// The configuration of a run: every key of the command line, config files and SubmitRun.

import { z } from 'zod';
import { UsageError } from '../../common/errors.js';
import { suggestion } from '../../common/nearest.js';
import type { IalsObjective, SolverOptions } from '../../models/device.js';
import { type SgdSettings, sgdColumns } from '../../models/sgd/sgd-settings.js';
import { parseSyncMode } from '../schedule/sync/sync-mode.js';

/** Above this the row systems no longer fit the devices' memory plans; embeddings beyond it bring nothing. */
export const FACTORS_MAX = 1024;

/** Every key, with its default. Keys are flat and dotted, as they are typed. */
const schema = z.strictObject({
  /** What is trained. */
  model: z.enum(['ials', 'bpr', 'mf']).default('ials'),
  'ials.objective': z.enum(['ials', 'hu2008']).default('ials'),
  'ials.weights': z.enum(['binary', 'value']).default('binary'),
  /** K. */
  'ials.factors': z.int().min(1).max(FACTORS_MAX).default(64),
  /** λ. */
  'ials.regularization': z.number().min(0).default(0.01),
  /** α₀, weight of unobserved pairs (`ials`). */
  'ials.alpha0': z.number().min(0).default(0.1),
  /** α, scale of values. */
  'ials.alpha': z.number().positive().default(1),
  /** ν, exponent of the frequency-scaled penalty (`ials`). */
  'ials.nu': z.number().min(0).max(1).default(1),
  'ials.solver': z.enum(['cholesky', 'cg', 'ials++']).default('cholesky'),
  /** Steps of conjugate gradients a row. */
  'ials.cg_steps': z.int().min(1).max(1000).default(3),
  /** Dimensions of an iALS++ block; more than K means K. */
  'ials.block': z.int().min(1).max(FACTORS_MAX).default(64),
  /** Precision of the copy of the fixed side that rows are gathered from. */
  'ials.gather': z.enum(['f32', 'f16']).default('f32'),
  /** σ* of the initial factors: N(0, σ*²/K). */
  'ials.init_stddev': z.number().positive().default(0.1),
  /** K, without the column of the items' biases. */
  'bpr.factors': z
    .int()
    .min(1)
    .max(FACTORS_MAX - 2)
    .default(64),
  /** η, the first learning rate. */
  'bpr.learning_rate': z.number().positive().default(0.1),
  'bpr.schedule': z.enum(['constant', 'inverse', 'cosine']).default('constant'),
  /** Of `inverse`: η / (1 + decay × epoch). */
  'bpr.decay': z.number().min(0).default(0.1),
  /** λ, of factors and biases. */
  'bpr.regularization': z.number().min(0).default(0.002),
  'bpr.negatives': z.enum(['uniform', 'popularity']).default('uniform'),
  /** `popularity`: an item with n users is drawn as often as n^exponent. */
  'bpr.popularity_exponent': z.number().min(0).max(1).default(0.75),
  /** σ* of the initial factors: N(0, σ*²/K). */
  'bpr.init_stddev': z.number().positive().default(0.5),
  /** K, without the columns of the biases. */
  'mf.factors': z
    .int()
    .min(1)
    .max(FACTORS_MAX - 2)
    .default(64),
  'mf.learning_rate': z.number().positive().default(0.02),
  'mf.schedule': z.enum(['constant', 'inverse', 'cosine']).default('constant'),
  'mf.decay': z.number().min(0).default(0.1),
  'mf.regularization': z.number().min(0).default(0.05),
  'mf.init_stddev': z.number().positive().default(0.5),
  /** All workers of a run give the same bits: others stay idle. */
  'train.deterministic': z.boolean().default(true),
  /** Share of the blocks that two workers compute and that count when both get the same bits; 0: none. */
  'train.audit_share': z.number().min(0).max(1).default(0.001),
  'train.epochs': z.int().min(1).max(100_000).default(16),
  'train.seed': z.int().min(0).max(Number.MAX_SAFE_INTEGER).default(1),
  /** Compute the loss after every phase. */
  'train.loss': z.boolean().default(false),
  /** `phases` for iALS; `bsp`, `ssp:S`, `asp` or `local:K` for models that push and pull. */
  'train.sync': z.string().default('phases'),
  /** S of `ssp`: clocks that a read may be behind. */
  'train.staleness': z.int().min(0).default(0),
  /** Steps into which each block cuts an epoch (`bpr`, `mf`): what it learned is shared after each. */
  'train.steps': z.int().min(1).max(65_536).default(16),
  /** Epochs that the validation loss may fail to fall before training ends (`bpr`, `mf`); 0 never ends early. */
  'train.early_stopping': z.int().min(0).default(0),
  /** Share of the interactions kept from training for it. */
  'train.validation_share': z.number().min(0.001).max(0.5).default(0.05),
  /**
   * Every how many epochs the ends of their phases are made durable, while the next phase goes on; short phases have
   * fewer, so that checkpoints take no more than 5 % of the time. 0: only when the run is stopped.
   */
  'train.checkpoint_epochs': z.int().min(0).default(1),
  /** Checkpoints kept: should the newest turn out damaged, the run goes on from the one before. */
  'train.checkpoint_keep': z.int().min(1).max(100).default(2),
  /** Of a federation: sums leave participants under masks, so that the coordinator sees their total alone. */
  'federated.masking': z.boolean().default(true),
  /** Fewest participants of a sum. */
  'federated.cohort_min': z.int().min(1).max(255).default(5),
  /** ε of the whole run for each learner; 0: no noise. */
  'federated.epsilon': z.number().min(0).max(1000).default(0),
  'federated.delta': z.number().positive().max(0.1).default(1e-6),
  /** Participants whose noise is in every sum: those that might drop out or plot do not count; 0: federated.cohort_min. */
  'federated.honest_min': z.int().min(0).max(255).default(0),
  /** With ε: rows that one learner weighs in with, fully. */
  'federated.rows_max': z.int().min(1).max(1_000_000).default(1),
  /** With ε: norm that a learner's factors are shortened to. */
  'federated.row_norm_max': z.number().positive().max(1e6).default(0.4),
});

export type RunConfig = z.infer<typeof schema>;
export type RunConfigKey = keyof RunConfig;

export const RUN_CONFIG_KEYS = Object.keys(schema.shape) as RunConfigKey[];

/**
 * Checks settings and fills in defaults.
 *
 * @param settings flat (`{'ials.factors': 64}`) or nested (`{ials: {factors: 64}}`), as a YAML file may have it.
 * @throws {UsageError} `STOA_USAGE_UNKNOWN_KEY` names the nearest key; `STOA_USAGE` names key, value and range.
 */
export function parseRunConfig(settings: unknown): RunConfig {
  const flat = flatten(settings);
  for (const key of Object.keys(flat)) {
    if (!(RUN_CONFIG_KEYS as string[]).includes(key)) {
      const hint = suggestion(key, RUN_CONFIG_KEYS);
      throw new UsageError('STOA_USAGE_UNKNOWN_KEY', `unknown setting "${key}"${hint}`, {
        fields: { field: key },
      });
    }
  }
  const parsed = schema.safeParse(flat);
  if (parsed.success) return requireFitting(withSync(parsed.data, flat));
  const issue = parsed.error.issues[0]!;
  const key = String(issue.path[0] ?? '');
  throw new UsageError('STOA_USAGE', `${key} = ${JSON.stringify(flat[key])}: ${describeIssue(key, issue)}`, {
    fields: { field: key },
  });
}

/** Settings that are fine alone and not together. */
function requireFitting(config: RunConfig): RunConfig {
  if (config['ials.gather'] === 'f32' || config['ials.solver'] === 'cg') return config;
  throw new UsageError(
    'STOA_USAGE',
    `ials.gather = "${config['ials.gather']}" is for ials.solver = cg; ${config['ials.solver']} reads in f32: leave one of them out`,
    { fields: { field: 'ials.gather' } },
  );
}

/**
 * Parses `key=value` pairs of the command line; values are read as JSON where they are JSON.
 *
 * @throws {UsageError} a pair without "=".
 */
export function parseSetFlags(pairs: readonly string[]): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at <= 0) {
      throw new UsageError(
        'STOA_USAGE',
        `--set "${pair}" is not KEY=VALUE, for example --set ials.factors=64`,
        {
          fields: { field: '--set' },
        },
      );
    }
    settings[pair.slice(0, at)] = parseScalar(pair.slice(at + 1));
  }
  return settings;
}

export function objectiveOf(config: RunConfig): IalsObjective {
  return {
    objective: config['ials.objective'],
    weights: config['ials.weights'],
    alpha0: config['ials.alpha0'],
    alpha: config['ials.alpha'],
    regularization: config['ials.regularization'],
    nu: config['ials.nu'],
  };
}

export function solverOf(config: RunConfig): SolverOptions {
  return {
    name: config['ials.solver'],
    cgSteps: config['ials.cg_steps'],
    block: config['ials.block'],
    gather: config['ials.gather'],
  };
}

/** K and the columns of biases: what a row of a table has. */
export function columnsOf(config: RunConfig): number {
  const { model } = config;
  return model === 'ials' ? config['ials.factors'] : sgdColumns(model, config[`${model}.factors`]);
}

/** Epochs of iALS have two phases, users and items; others one. */
export function phasesPerEpoch(config: RunConfig): number {
  return config.model === 'ials' ? 2 : 1;
}

/** Of a model that pushes and pulls. @param mean mean rating, for `mf`. */
export function sgdSettingsOf(config: RunConfig, mean: number): SgdSettings {
  const model = config.model === 'mf' ? 'mf' : 'bpr';
  return {
    model,
    factors: config[`${model}.factors`],
    learningRate: config[`${model}.learning_rate`],
    schedule: config[`${model}.schedule`],
    decay: config[`${model}.decay`],
    regularization: config[`${model}.regularization`],
    negatives: config['bpr.negatives'],
    popularityExponent: config['bpr.popularity_exponent'],
    seed: config['train.seed'],
    epochs: config['train.epochs'],
    stepsPerEpoch: config['train.steps'],
    mean: model === 'mf' ? mean : 0,
  };
}

/** Fills in the sync mode of the model, and brings `ssp` and its staleness together. */
function withSync(config: RunConfig, given: Record<string, unknown>): RunConfig {
  if (config.model === 'ials') {
    refuse(config['train.sync'] !== 'phases', 'train.sync', 'ials trains in phases only; leave it out');
    refuse(config['train.staleness'] !== 0, 'train.staleness', 'phases read without staleness; leave it out');
    refuse(config['train.early_stopping'] !== 0, 'train.early_stopping', 'only bpr and mf can stop early');
    return config;
  }
  const staleness = config['train.staleness'];
  const text = given['train.sync'] === undefined ? 'bsp' : config['train.sync'];
  const mode = parseSyncMode(text === 'ssp' ? `ssp:${staleness}` : text);
  const bound = mode.kind === 'ssp' ? mode.staleness : 0;
  const isGiven = given['train.staleness'] !== undefined;
  refuse(isGiven && staleness !== bound, 'train.staleness', `${text} has a staleness of ${bound}`);
  const sync = mode.kind === 'ssp' ? `ssp:${bound}` : text;
  return { ...config, 'train.sync': sync, 'train.staleness': bound };
}

function refuse(isWrong: boolean, key: RunConfigKey, why: string): void {
  if (isWrong) throw new UsageError('STOA_USAGE', `${key}: ${why}`, { fields: { field: key } });
}

function parseScalar(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function flatten(settings: unknown, prefix = ''): Record<string, unknown> {
  if (settings === null || settings === undefined) return {};
  if (typeof settings !== 'object' || Array.isArray(settings)) {
    throw new UsageError(
      'STOA_USAGE',
      'the configuration must be a mapping of keys to values, for example "ials.factors: 64"',
    );
  }
  const flat: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(settings)) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      Object.assign(flat, flatten(value, `${prefix}${key}.`));
    } else {
      flat[`${prefix}${key}`] = value;
    }
  }
  return flat;
}

function describeIssue(key: string, issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'too_small':
      return `must be ${issue.inclusive ? 'at least' : 'greater than'} ${issue.minimum}`;
    case 'too_big':
      return `must be at most ${issue.maximum}`;
    case 'invalid_value':
      return `must be one of ${issue.values.join(', ')}`;
    case 'invalid_type':
      return `must be ${issue.expected === 'int' ? 'a whole number' : `a ${issue.expected}`}`;
    default:
      return `${issue.message} (see "stoa train --help" for ${key})`;
  }
}
