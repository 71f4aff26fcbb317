// Which model is served, and those before it: in promoted.json beside the models, or in a coordinator's journal.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../common/atomic-files.js';
import { CorruptError } from '../../common/errors.js';
import type { Promotion } from '../journal/entries.js';
import type { Journal } from '../journal/journal.js';

export const PROMOTED_FILE = 'promoted.json';
/** How many promotions can be rolled back. */
export const PREVIOUS_MAX = 100;

export interface Promotions {
  /** @throws {CorruptError} `STOA_TORN`. */
  read(): Promise<Promotion | undefined>;
  /** Durable when it resolves. */
  write(promotion: Promotion): Promise<void>;
}

const fileSchema = z.strictObject({
  format: z.literal('stoa-promoted'),
  version: z.literal(1),
  current: z.string(),
  previous: z.array(z.string()).max(PREVIOUS_MAX),
});

/** @param folder that of the models. */
export function promotionsInFile(folder: string): Promotions {
  const file = path.join(folder, PROMOTED_FILE);
  return {
    read: async () => {
      const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      });
      if (text === undefined) return undefined;
      try {
        const { current, previous } = fileSchema.parse(JSON.parse(text));
        return { current, previous };
      } catch (error) {
        throw new CorruptError('STOA_TORN', `${file} cannot be read; remove it and promote a model again`, {
          fields: { file },
          cause: error,
        });
      }
    },
    write: async (promotion) => {
      const text = JSON.stringify({ format: 'stoa-promoted', version: 1, ...promotion }, null, 2);
      await writeFileAtomic(file, `${text}\n`);
    },
  };
}

/** The journal counts; the file is for people, and for a folder that has not had a journal yet. */
export function promotionsInJournal(journal: Journal, folder: string): Promotions {
  const file = promotionsInFile(folder);
  return {
    read: async () => journal.state.promotion ?? (await file.read()),
    write: async (promotion) => {
      await journal.append({ kind: 'promotion', promotion });
      await file.write(promotion);
    },
  };
}
