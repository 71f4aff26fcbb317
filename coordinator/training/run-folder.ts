// The directory of a run, readable without a server:
//
//   run.json          identity, state, where the data lie
//   config.yaml       all settings, defaults filled in
//   plan.json         blocks, shards, estimates
//   metrics.jsonl     one line for each phase
//   checkpoints/      the last complete phases
//   model/  evaluation.json  report.html  result.json      once it has ended

import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { explainDisk, refuseExisting, writeFileAtomic } from '../../common/atomic-files.js';
import { CorruptError, NotFoundError } from '../../common/errors.js';
import { parseRunConfig, type RunConfig } from '../plan/run-config.js';

export const recordSchema = z.strictObject({
  format: z.literal('stoa-run'),
  version: z.literal(1),
  run_id: z.string().regex(/^[A-Za-z0-9-]{1,64}$/),
  state: z.enum(['queued', 'running', 'succeeded', 'failed', 'stopped']),
  /** ISO 8601. */
  create_time: z.string(),
  /** Folders of the data, and the fingerprint of what is trained on. */
  dataset: z.string(),
  dataset_fingerprint: z.string(),
  test: z.string().optional(),
  fold_in: z.string().optional(),
  /** Of the client that submitted it. */
  request_id: z.string().optional(),
  /** Time spent so far, without pauses. */
  active_ms: z.number(),
  /** Complete phases when it ended: two an epoch. */
  phases_done: z.number(),
  /** Somebody paused it: nothing of it is lent until it is let go on. */
  is_paused: z.boolean().optional(),
  /** Why it failed. */
  error: z.string().optional(),
});

export type RunRecord = z.infer<typeof recordSchema>;

export class RunFolder {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = path.resolve(dir);
  }

  get metricsFile(): string {
    return path.join(this.dir, 'metrics.jsonl');
  }

  get checkpointsDir(): string {
    return path.join(this.dir, 'checkpoints');
  }

  get modelDir(): string {
    return path.join(this.dir, 'model');
  }

  /** @throws {StateError} `STOA_EXISTS`: something stands there already. */
  async create(record: RunRecord, config: RunConfig): Promise<void> {
    await refuseExisting(this.dir);
    await mkdir(this.checkpointsDir, { recursive: true }).catch((error: unknown) => {
      throw explainDisk(error, this.dir);
    });
    await writeFileAtomic(path.join(this.dir, 'config.yaml'), stringify(config));
    await this.writeRecord(record);
  }

  /** Makes a folder again whose files were lost. */
  async restore(record: RunRecord, config: RunConfig): Promise<void> {
    await mkdir(this.checkpointsDir, { recursive: true });
    await writeFileAtomic(path.join(this.dir, 'config.yaml'), stringify(config));
    await this.writeRecord(record);
  }

  writeRecord(record: RunRecord): Promise<void> {
    return this.writeJson('run.json', record);
  }

  writeJson(name: string, value: unknown): Promise<void> {
    return writeFileAtomic(path.join(this.dir, name), `${JSON.stringify(value, null, 2)}\n`);
  }

  writeText(name: string, text: string): Promise<void> {
    return writeFileAtomic(path.join(this.dir, name), text);
  }

  /** @throws {NotFoundError} `STOA_NOT_FOUND_RUN`; {CorruptError} `STOA_TORN`. */
  async read(): Promise<{ record: RunRecord; config: RunConfig }> {
    const text = await this.#read('run.json');
    const settings = await this.#read('config.yaml');
    try {
      return { record: recordSchema.parse(JSON.parse(text)), config: parseRunConfig(parse(settings)) };
    } catch (error) {
      throw new CorruptError(
        'STOA_TORN',
        `run.json or config.yaml in ${this.dir} is damaged; restore them from a copy or train again`,
        { fields: { file: this.dir }, cause: error },
      );
    }
  }

  async #read(name: string): Promise<string> {
    const file = path.join(this.dir, name);
    return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
      throw new NotFoundError(
        'STOA_NOT_FOUND_RUN',
        `${this.dir} is not the folder of a run: it has no ${name}`,
        {
          fields: { file },
        },
      );
    });
  }
}
