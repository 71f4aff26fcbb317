// manifest.json of a dataset folder: counts, how it was made, and the SHA-256 of every file, its own included.

import { z } from 'zod';
import { sha256 } from '../common/checksums.js';
import { CorruptError, StateError } from '../common/errors.js';

export interface FileEntry {
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

export interface ShardEntry {
  /** `by-user/0000.arrow` or `by-item/0000.arrow`, relative to the folder. */
  file: string;
  /** First row, inclusive. */
  rowStart: number;
  /** Last row, exclusive. */
  rowEnd: number;
  interactions: number;
}

/** How several interactions of one user with one item become one. See datasets/csr/merge-duplicates.ts. */
export type MergeRule = 'sum' | 'max' | 'last' | 'count' | 'one';

export interface DatasetSource {
  merge: MergeRule;
  /** Names of the columns that were read. */
  columns: { user: string; item: string; value?: string; time?: string };
  /** Input files in the order they were read; names without the folder they lay in. */
  files: { name: string; bytes: number; sha256: string }[];
  rowsRead: number;
  rowsRejected: number;
  duplicatesMerged: number;
}

export interface DatasetManifest {
  format: 'stoa-dataset';
  version: 1;
  users: number;
  items: number;
  interactions: number;
  hasValues: boolean;
  hasTimes: boolean;
  /** `timestamp`: milliseconds since 1970; `number`: as in the source. Present when there are times. */
  timeKind?: 'number' | 'timestamp';
  /** Least and greatest; absent without times or without interactions. */
  timeRange?: [number, number];
  valueRange?: [number, number];
  /** True for data made by `data synthesize`: shown wherever the data are shown. */
  synthetic: boolean;
  source: DatasetSource;
  /** For a part made by `data split`; `of` is the fingerprint of the whole. */
  split?: { strategy: string; role: 'train' | 'test' | 'fold-in'; of: string; [key: string]: unknown };
  /** `shards.users`: rows are users. In row order, without gaps. */
  shards: { users: ShardEntry[]; items: ShardEntry[] };
  /** Every file of the folder but manifest.json. No dates anywhere: the same input gives the same bytes. */
  files: Record<string, FileEntry>;
}

export const MANIFEST_FILE = 'manifest.json';
const FORMAT = 'stoa-dataset';
const VERSION = 1;

const count = z.number().int().nonnegative();
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const range = z.tuple([z.number(), z.number()]);
const shardEntry = z.object({
  file: z.string().regex(/^by-(user|item)\/\d{4,}\.arrow$/),
  rowStart: count,
  rowEnd: count,
  interactions: count,
});

const manifestSchema = z.object({
  format: z.literal(FORMAT),
  version: z.literal(VERSION),
  users: count,
  items: count,
  interactions: count,
  hasValues: z.boolean(),
  hasTimes: z.boolean(),
  timeKind: z.enum(['number', 'timestamp']).optional(),
  timeRange: range.optional(),
  valueRange: range.optional(),
  synthetic: z.boolean(),
  source: z.object({
    merge: z.enum(['sum', 'max', 'last', 'count', 'one']),
    columns: z.object({
      user: z.string(),
      item: z.string(),
      value: z.string().optional(),
      time: z.string().optional(),
    }),
    files: z.array(z.object({ name: z.string(), bytes: count, sha256: digest })),
    rowsRead: count,
    rowsRejected: count,
    duplicatesMerged: count,
  }),
  split: z
    .looseObject({ strategy: z.string(), role: z.enum(['train', 'test', 'fold-in']), of: digest })
    .optional(),
  shards: z.object({ users: z.array(shardEntry), items: z.array(shardEntry) }),
  // Names that cannot lead out of the folder: they may come from another machine.
  files: z.record(
    z.string().regex(/^(users|items|by-(user|item)\/\d{4,})\.arrow$/),
    z.object({ bytes: count, sha256: digest }),
  ),
});

/**
 * The bytes of manifest.json. Its last key, `manifestSha256`, is the SHA-256 of the file with those 64 digits as
 * zeros, so that a changed byte of the manifest is found like one of any other file.
 */
export function formatManifest(manifest: DatasetManifest): Uint8Array {
  const blank = `${JSON.stringify({ ...manifest, manifestSha256: ZEROS }, null, 1)}\n`;
  return Buffer.from(blank.replace(ZEROS, sha256(blank)));
}

const ZEROS = '0'.repeat(64);
const SELF = /"manifestSha256": "([0-9a-f]{64})"\n}\n$/;

/**
 * Reads manifest.json.
 *
 * @param where the file's name, for messages.
 * @throws {StateError} `STOA_VERSION`: written by another version.
 * @throws {CorruptError} `STOA_CHECKSUM` or `STOA_TORN`: not the bytes that were written.
 */
export function parseManifest(bytes: Uint8Array, where: string): DatasetManifest {
  const text = Buffer.from(bytes).toString('utf8');
  const json = parseJson(text, where);
  if (json['format'] === FORMAT && json['version'] !== VERSION) {
    throw new StateError(
      'STOA_VERSION',
      `${where} has dataset format version ${String(json['version'])}, this Stoa reads version ${VERSION}; import the data again, or use the Stoa that wrote it`,
      { fields: { file: where } },
    );
  }
  const own = SELF.exec(text);
  if (own === null || sha256(text.replace(SELF, `"manifestSha256": "${ZEROS}"\n}\n`)) !== own[1]) {
    throw corrupt(where, 'does not match its own checksum');
  }
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) throw corrupt(where, `is not a dataset manifest (${z.prettifyError(parsed.error)})`);
  if (!isConsistent(parsed.data)) throw corrupt(where, 'contradicts itself');
  return parsed.data;
}

/** The shards of a side cover its rows without gaps, and every file is listed. */
function isConsistent({ users, items, interactions, shards, files }: DatasetManifest): boolean {
  for (const [rows, entries] of [
    [users, shards.users],
    [items, shards.items],
  ] as const) {
    let nextRow = 0;
    let sum = 0;
    for (const entry of entries) {
      if (entry.rowStart !== nextRow || entry.rowEnd < entry.rowStart || files[entry.file] === undefined)
        return false;
      nextRow = entry.rowEnd;
      sum += entry.interactions;
    }
    if (nextRow !== rows || sum !== interactions) return false;
  }
  return files['users.arrow'] !== undefined && files['items.arrow'] !== undefined;
}

function parseJson(text: string, where: string): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === 'object' && json !== null) return json as Record<string, unknown>;
  } catch {
    // Reported below: what matters is that the file is not whole, not where the parser stopped.
  }
  throw new CorruptError('STOA_TORN', `${where} is not complete; import the data again`, {
    fields: { file: where },
  });
}

function corrupt(where: string, what: string): CorruptError {
  return new CorruptError(
    'STOA_CHECKSUM',
    `${where} ${what}: it was changed or damaged; import the data again`,
    {
      fields: { file: where },
    },
  );
}
