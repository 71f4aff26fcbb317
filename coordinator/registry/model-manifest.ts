// model.json: what a model is, how it came to be, and the checksums of its files and of itself.

import { z } from 'zod';
import { sha256 } from '../../common/checksums.js';
import { CorruptError, StateError } from '../../common/errors.js';
import type { DeviceFacts } from '../../models/device-facts.js';
import { parseRunConfig, type RunConfig } from '../plan/run-config.js';
import type { ModelLayout } from './model-layout.js';
import type { FileFacts } from './safetensors.js';

/** Raised whenever a reader of the version before could misread a folder. */
export const MODEL_SCHEMA_VERSION = 1;

export const MODEL_FILES = {
  factors: 'factors.safetensors',
  history: 'history.safetensors',
  users: 'users.parquet',
  items: 'items.parquet',
} as const;

export interface ModelManifest {
  format: 'stoa-model';
  schemaVersion: typeof MODEL_SCHEMA_VERSION;
  /** Name of the model in the registry and in answers. */
  version: string;
  /** ISO 8601, UTC. */
  createTime: string;
  /** True when the interactions were made by `stoa data synthesize`. */
  synthetic: boolean;
  config: RunConfig;
  /** `factors`: columns of the tables. */
  counts: { users: number; items: number; interactions: number; factors: number };
  /** Absent: all columns are factors. */
  layout?: ModelLayout;
  /** `devices`: what it was trained on, each different one once; not known of models of earlier versions. */
  lineage: { runId: string; datasetFingerprint: string; devices?: DeviceFacts[] };
  /** Of the evaluation, when the run had test data. */
  metrics?: Record<string, unknown>;
  /** Every file of the folder but model.json. */
  files: Record<string, FileFacts>;
}

const count = z.int().min(0);
const facts = z.strictObject({ bytes: count, sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const schema = z.strictObject({
  format: z.literal('stoa-model'),
  schemaVersion: z.literal(MODEL_SCHEMA_VERSION),
  version: z.string().min(1).max(128),
  createTime: z.iso.datetime(),
  synthetic: z.boolean(),
  config: z.record(z.string(), z.unknown()),
  counts: z.strictObject({ users: count, items: count, interactions: count, factors: z.int().min(1) }),
  layout: z
    .strictObject({
      factors: z.int().min(1),
      user_columns: z.array(z.string()),
      item_columns: z.array(z.string()),
    })
    .optional(),
  lineage: z.strictObject({
    runId: z.string(),
    datasetFingerprint: z.string(),
    devices: z.array(z.record(z.string(), z.unknown())).optional(),
  }),
  metrics: z.record(z.string(), z.unknown()).optional(),
  files: z.strictObject({
    [MODEL_FILES.factors]: facts,
    [MODEL_FILES.history]: facts,
    [MODEL_FILES.users]: facts,
    [MODEL_FILES.items]: facts,
  }),
  checksum: z.string(),
});

/** The text of model.json. Its last member is the checksum of everything before it. */
export function renderManifest(manifest: ModelManifest): string {
  const checksum = sha256(JSON.stringify(manifest));
  return `${JSON.stringify({ ...manifest, checksum }, null, 2)}\n`;
}

/**
 * @throws {StateError} `STOA_VERSION`: written by a version with another schema.
 * @throws {CorruptError} `STOA_TORN`, `STOA_CHECKSUM`: not the text that `renderManifest` made.
 */
export function parseManifest(text: string, file: string): ModelManifest {
  const value = parseJson(text, file);
  if (value['format'] !== 'stoa-model') throw torn(file, 'it is not the manifest of a model');
  if (value['schemaVersion'] !== MODEL_SCHEMA_VERSION) {
    throw new StateError(
      'STOA_VERSION',
      `${file} has schema version ${JSON.stringify(value['schemaVersion'])}, this program reads ${MODEL_SCHEMA_VERSION}; ` +
        'use the version of Stoa that wrote it, or train again',
      { fields: { file } },
    );
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw torn(file, `${issue.path.join('.')}: ${issue.message}`);
  }
  // Compared as text, so that not even a space can differ unnoticed.
  const { checksum: _, ...manifest } = value;
  if (renderManifest(manifest as unknown as ModelManifest) !== text) {
    throw new CorruptError(
      'STOA_CHECKSUM',
      `${file} is not what was written (its checksum differs); restore it from a copy or train again`,
      { fields: { file } },
    );
  }
  return { ...(manifest as unknown as ModelManifest), config: parseRunConfig(parsed.data.config) };
}

function parseJson(text: string, file: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below: the reader needs the file's name more than the position in it.
  }
  throw torn(file, 'it is not JSON');
}

function torn(file: string, what: string): CorruptError {
  return new CorruptError(
    'STOA_TORN',
    `${file} cannot be read: ${what}; restore it from a copy or train again`,
    { fields: { file } },
  );
}
