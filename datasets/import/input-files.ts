// Turns what a user named (files, globs, folders) into a list of files with their formats.

import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { DataError, NotFoundError } from '../../common/errors.js';

export type FileFormat = 'csv' | 'tsv' | 'text' | 'jsonl' | 'parquet';

export interface InputFile {
  /** Absolute. */
  path: string;
  /** For manifests and messages: the file's name, or its path within the folder that was named. */
  name: string;
  /** `text`: delimited by something that its header shows. */
  format: FileFormat;
  isGzip: boolean;
  bytes: number;
  /** From `key=value` folders within the folder that was named, as Hive, Spark and Dask write them; null: no value. */
  partitions: Record<string, string | null>;
}

const FORMATS: Record<string, FileFormat> = {
  '.csv': 'csv',
  '.tsv': 'tsv',
  '.tab': 'tsv',
  '.txt': 'text',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.json': 'jsonl',
  '.parquet': 'parquet',
  '.pq': 'parquet',
};
const FORMATS_TEXT =
  'CSV (.csv), TSV (.tsv, .txt), JSON Lines (.jsonl, .json), each also .gz, and Parquet (.parquet)';
const HIVE_NULL = '__HIVE_DEFAULT_PARTITION__';

/**
 * Finds the files behind names, globs (`*`, `?`, `[…]`, `**`) and folders, in bytewise order of their paths, each once.
 * In folders, names that start with `.` or `_` and files of other formats are passed over.
 *
 * @throws {NotFoundError} `STOA_NOT_FOUND_FILE`; {DataError} `STOA_DATA_FILE` (format), `STOA_DATA_EMPTY`.
 */
export async function findInputFiles(names: readonly string[]): Promise<InputFile[]> {
  const found = new Map<string, InputFile>();
  for (const name of names) {
    for (const file of await expand(name)) found.set(file.path, file);
  }
  const files = [...found.values()].sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
  for (const file of files) {
    if (file.bytes > 0) continue;
    throw new DataError('STOA_DATA_EMPTY', `${file.name} is empty (0 bytes); give a file with data`, {
      fields: { file: file.path },
    });
  }
  return files;
}

async function expand(name: string): Promise<InputFile[]> {
  const absolute = path.resolve(name);
  const found = await stat(absolute).catch(() => null);
  if (found?.isFile()) return [toInputFile(absolute, path.basename(absolute), found.size)];
  if (found?.isDirectory()) return expandFolder(absolute, name);
  if (!/[*?[]/.test(name)) {
    throw new NotFoundError('STOA_NOT_FOUND_FILE', `no file or folder ${name}; check the name`, {
      fields: { file: name },
    });
  }
  return expandGlob(absolute, name);
}

async function expandFolder(folder: string, name: string): Promise<InputFile[]> {
  const paths = (await walk(folder, (entry) => !/^[._]/.test(entry))).filter(
    (file) => formatOf(file) !== null,
  );
  if (paths.length === 0) {
    throw new NotFoundError(
      'STOA_NOT_FOUND_FILE',
      `the folder ${name} has no files to read: ${FORMATS_TEXT}`,
      {
        fields: { file: name },
      },
    );
  }
  const kinds = new Set(paths.map((file) => formatOf(file)!.format));
  if (kinds.size > 1) {
    throw new DataError(
      'STOA_DATA_FILE',
      `the folder ${name} mixes formats (${[...kinds].sort().join(', ')}); name the files to read, or use a glob`,
      { fields: { file: name } },
    );
  }
  return Promise.all(
    paths.map(async (file) => {
      const relative = path.relative(folder, file);
      return toInputFile(file, relative, (await stat(file)).size, partitionsOf(relative));
    }),
  );
}

async function expandGlob(pattern: string, name: string): Promise<InputFile[]> {
  const segments = pattern.split(path.sep);
  const magic = segments.findIndex((segment) => /[*?[]/.test(segment));
  const base = segments.slice(0, magic).join(path.sep) || path.sep;
  const matches = globToRegExp(pattern);
  const paths = (await walk(base, () => true).catch(() => [])).filter((file) => matches.test(file));
  if (paths.length === 0) {
    throw new NotFoundError('STOA_NOT_FOUND_FILE', `no file matches ${name}; check the pattern`, {
      fields: { file: name },
    });
  }
  return Promise.all(
    paths.map(async (file) => {
      const relative = path.relative(base, file);
      return toInputFile(file, relative, (await stat(file)).size, partitionsOf(relative));
    }),
  );
}

/** All files below a folder. @param isWanted whether a name is to be looked at, a folder's or a file's. */
async function walk(folder: string, isWanted: (name: string) => boolean): Promise<string[]> {
  const files: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!isWanted(entry.name)) continue;
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) files.push(...(await walk(full, isWanted)));
    // A link may lead to a file, or nowhere.
    else if ((await stat(full).catch(() => null))?.isFile()) files.push(full);
  }
  return files;
}

function globToRegExp(pattern: string): RegExp {
  const source = pattern.replace(/\*\*\/|\*\*|\*|\?|\[[^\]/]+\]|[.+^${}()|\\[\]]/g, (token) => {
    if (token === '**/') return '(?:[^/]+/)*';
    if (token === '**') return '.*';
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    if (token.length > 1) return token.replace(/^\[!/, '[^').replaceAll('\\', '\\\\');
    return `\\${token}`;
  });
  return new RegExp(`^${source}$`);
}

function toInputFile(
  file: string,
  name: string,
  bytes: number,
  partitions: Record<string, string | null> = {},
): InputFile {
  const known = formatOf(file);
  if (known === null) {
    throw new DataError(
      'STOA_DATA_FILE',
      `${name} is of an unknown format (${path.extname(name) || 'no extension'}); expected ${FORMATS_TEXT}`,
      { fields: { file } },
    );
  }
  return { path: file, name, ...known, bytes, partitions };
}

function formatOf(file: string): { format: FileFormat; isGzip: boolean } | null {
  const isGzip = /\.gz$/i.test(file);
  const format = FORMATS[path.extname(isGzip ? file.slice(0, -3) : file).toLowerCase()];
  if (format === undefined || (isGzip && format === 'parquet')) return null;
  return { format, isGzip };
}

function partitionsOf(relative: string): Record<string, string | null> {
  const partitions: Record<string, string | null> = {};
  for (const segment of relative.split(path.sep).slice(0, -1)) {
    const match = /^([^=]+)=(.*)$/.exec(segment);
    if (match === null) continue;
    partitions[decodeSegment(match[1]!)] = match[2] === HIVE_NULL ? null : decodeSegment(match[2]!);
  }
  return partitions;
}

function decodeSegment(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
