// A DuckDB of our own for one import: bounded memory, spilling beside the output, and no way to any file but the input.

import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { explainDisk } from '../../common/atomic-files.js';

/** Rows on their way to us. Smaller buffers make the reading threads wait for each other. */
const STREAM_BUFFER_MB = 64;
/** Enough for reading; what we keep ourselves comes on top of it. */
const MEMORY_LIMIT_MB = 400;

export interface SessionOptions {
  /** Files that may be read; absolute. */
  files: readonly string[];
  /** Folder in which a temporary folder for spilling is made, and removed by `close`. */
  scratchParent: string;
  /** @default 400 */
  memoryLimitMb?: number;
  /** @default one for each core */
  threads?: number;
}

export class DuckdbSession {
  readonly connection: DuckDBConnection;
  private readonly instance: DuckDBInstance;
  private readonly scratch: string;

  private constructor(instance: DuckDBInstance, connection: DuckDBConnection, scratch: string) {
    this.instance = instance;
    this.connection = connection;
    this.scratch = scratch;
  }

  static async open(options: SessionOptions): Promise<DuckdbSession> {
    const scratch = await mkdtemp(path.join(options.scratchParent, '.stoa-import-')).catch((error) => {
      throw explainDisk(error, options.scratchParent);
    });
    try {
      const instance = await DuckDBInstance.create(':memory:', {
        memory_limit: `${options.memoryLimitMb ?? MEMORY_LIMIT_MB}MB`,
        temp_directory: scratch,
        autoinstall_known_extensions: 'false',
        autoload_known_extensions: 'false',
        ...(options.threads === undefined ? {} : { threads: String(options.threads) }),
      });
      const connection = await instance.connect();
      const allowed = options.files.flatMap((file) => [sqlText(file), sqlPath(file)]);
      await connection.run(`
        SET TimeZone = 'UTC';
        SET streaming_buffer_size = '${STREAM_BUFFER_MB}MB';
        SET allowed_paths = [${allowed.join(', ')}];
        SET enable_external_access = false;
        SET lock_configuration = true;
      `);
      return new DuckdbSession(instance, connection, scratch);
    } catch (error) {
      await rm(scratch, { recursive: true, force: true });
      throw error;
    }
  }

  /** All rows of a small answer, as JavaScript values. */
  async rows(sql: string): Promise<Record<string, unknown>[]> {
    return (await this.connection.runAndReadAll(sql)).getRowObjectsJS();
  }

  async close(): Promise<void> {
    this.connection.closeSync();
    this.instance.closeSync();
    await rm(this.scratch, { recursive: true, force: true });
  }
}

/** A string literal of SQL. */
export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A quoted name of SQL. */
export function sqlName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A file's name as a literal, with the letters that DuckDB takes for a glob made harmless. */
export function sqlPath(file: string): string {
  return sqlText(file.replace(/[*?[]/g, '[$&]'));
}
