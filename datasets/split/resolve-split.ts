import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { CorruptError } from '../../common/errors.js';

/** Marks a folder that `data split` wrote; lists what is in it. */
export const SPLIT_FILE = 'split.json';

export interface ResolvedSplit {
  /** Dataset to train on. */
  train: string;
  /** Dataset of the held-out interactions; absent when `dir` is a plain dataset. */
  test?: string;
  /** Known part of the held-out users' histories; strong generalisation only. */
  foldIn?: string;
}

/** The datasets behind a folder: a split's parts, or the folder itself when it is a plain dataset. */
export async function resolveSplit(dir: string): Promise<ResolvedSplit> {
  const file = path.join(dir, SPLIT_FILE);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  });
  if (text === null) return { train: dir };
  if (!isSplitJson(text)) {
    throw new CorruptError('STOA_TORN', `${file} is not complete; split the data again`, {
      fields: { file },
    });
  }
  const foldIn = path.join(dir, 'fold-in');
  const hasFoldIn = await access(foldIn).then(
    () => true,
    () => false,
  );
  return {
    train: path.join(dir, 'train'),
    test: path.join(dir, 'test'),
    ...(hasFoldIn ? { foldIn } : {}),
  };
}

function isSplitJson(text: string): boolean {
  try {
    return (JSON.parse(text) as { format?: unknown }).format === 'stoa-split';
  } catch {
    return false;
  }
}
