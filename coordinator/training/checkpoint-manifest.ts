// phase-NNNNNN.TERM.json: a checkpoint by name. It says which table files it consists of and what must be in them; a
// table that did not change since the checkpoint before is named again, not written again.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../common/atomic-files.js';
import { sha256 } from '../../common/checksums.js';
import { CorruptError } from '../../common/errors.js';

const NAME = /^phase-(\d{6,})\.(\d+)\.json$/;

const tableSchema = z.strictObject({
  file: z.string().regex(/^(?:users|items)-\d{6,}\.\d+\.table$/),
  clock: z.int().min(0),
  rows: z.int().min(0),
  bytes: z.int().min(0),
  crc32c: z.array(z.int()),
  /** Σ λ_row ‖row‖²; absent where losses are not asked for. */
  penalty: z.number().optional(),
});
export type TableEntry = z.infer<typeof tableSchema>;

const manifestSchema = z.strictObject({
  format: z.literal('stoa-checkpoint'),
  version: z.literal(2),
  run_id: z.string(),
  plan: z.string(),
  /** All settings of the run. */
  config: z.record(z.string(), z.unknown()),
  /** Phases that are complete: the first that is still to be done. */
  next_phase: z.int().min(0),
  factors: z.int().min(1),
  users: tableSchema,
  items: tableSchema,
  /** Tables of an earlier phase that the run may yet end with; absent where they are those above, or there are none. */
  best: z.strictObject({ next_phase: z.int().min(0), users: tableSchema, items: tableSchema }).optional(),
});
export type CheckpointManifest = z.infer<typeof manifestSchema>;

/** A manifest's name: where it stands among others. */
export interface CheckpointName {
  readonly name: string;
  readonly nextPhase: number;
  /** Of the leader that wrote it. */
  readonly term: number;
}

export function checkpointName(nextPhase: number, term: number): string {
  return `phase-${String(nextPhase).padStart(6, '0')}.${term}.json`;
}

/** Names among the entries of a folder, newest first: a later term's phases count before an earlier one's. */
export function checkpointNames(entries: readonly string[]): CheckpointName[] {
  const names = entries.flatMap((name) => {
    const match = NAME.exec(name);
    return match === null ? [] : [{ name, nextPhase: Number(match[1]), term: Number(match[2]) }];
  });
  return names.sort((a, b) => b.term - a.term || b.nextPhase - a.nextPhase);
}

/** The term that a file of a checkpoints folder belongs to; 0 for what is none of ours. */
export function termOf(name: string): number {
  return Number(/\.(\d+)\.(?:json|table)$/.exec(name)?.[1] ?? 0);
}

/** Writes a manifest, durably and whole or not at all. @returns its SHA-256. */
export async function writeManifest(file: string, manifest: CheckpointManifest): Promise<string> {
  const text = JSON.stringify(manifest);
  const checksum = sha256(text);
  await writeFileAtomic(file, `${text}\n${checksum}\n`);
  return checksum;
}

/**
 * @param expectedSha256 what the journal says of it; absent: it is only checked against itself.
 * @throws {CorruptError} `STOA_TORN`, `STOA_CHECKSUM`: names the file.
 */
export async function readManifest(file: string, expectedSha256?: string): Promise<CheckpointManifest> {
  const whole = await readFile(file, 'utf8').catch(() => undefined);
  if (whole === undefined) {
    throw new CorruptError('STOA_TORN', `${file} cannot be read`, { fields: { file } });
  }
  const [text = '', checksum] = whole.split('\n');
  if (sha256(text) !== checksum || (expectedSha256 !== undefined && checksum !== expectedSha256)) {
    throw new CorruptError('STOA_CHECKSUM', `${file} is not what was written (its SHA-256 differs)`, {
      fields: { file },
    });
  }
  const manifest = manifestSchema.safeParse(JSON.parse(text));
  if (manifest.success) return manifest.data;
  throw new CorruptError('STOA_TORN', `${file} was written by another version of Stoa`, {
    fields: { file },
    cause: manifest.error,
  });
}

/** Names of the table files of a checkpoint. */
export function tableFiles(manifest: CheckpointManifest): string[] {
  const { users, items, best } = manifest;
  return [users, items, ...(best === undefined ? [] : [best.users, best.items])].map(({ file }) => file);
}

export function tablePath(dir: string, entry: TableEntry): string {
  return path.join(dir, entry.file);
}
