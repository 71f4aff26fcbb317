// Random interactions with skew, as a dataset folder: made without the import, which has tests of its own.

import { publishFolder } from '../../common/atomic-files.js';
import { createRandom } from '../../common/random.js';
import { BuildPool } from '../../datasets/build-pool.js';
import { transpose } from '../../datasets/csr/transpose.js';
import { writeDataset } from '../../datasets/write-dataset.js';
import type { Csr } from '../../models/csr.js';

export interface RandomDataOptions {
  users: number;
  items: number;
  /** Mean number of interactions a user, above 1. */
  perUser: number;
  seed?: number;
  hasValues?: boolean;
}

/**
 * Users × items with a popularity skew. Item 0 is taken by every user, the last but one by user 2 alone, the last by
 * nobody; users 0 and 1 have one interaction.
 */
export function randomInteractions(options: RandomDataOptions): Csr {
  const { users, items, perUser, seed = 1, hasValues = false } = options;
  const random = createRandom(seed, 77);
  const ptr = new Int32Array(users + 1);
  const idx: number[] = [];
  for (let user = 0; user < users; user++) {
    const taken = new Set<number>(user === 2 ? [0, items - 2] : [0]);
    const wanted = user < 2 ? 1 : 2 + random.int(2 * perUser - 2);
    for (let tries = 0; taken.size < wanted && tries < 20 * wanted; tries++) {
      taken.add(Math.floor((items - 2) * random.next() ** 2));
    }
    idx.push(...[...taken].sort((a, b) => a - b));
    ptr[user + 1] = idx.length;
  }
  const values = hasValues ? Float32Array.from(idx, () => 0.5 + random.int(8) / 2) : undefined;
  return { rows: users, cols: items, ptr, idx: Int32Array.from(idx), values };
}

/** Writes interactions as a dataset folder. */
export async function writeInteractions(dir: string, users: Csr): Promise<void> {
  const ids = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, row) => `${prefix}${String(row).padStart(7, '0')}`);
  const pool = new BuildPool(1);
  try {
    await publishFolder(dir, (folder) =>
      writeDataset(
        folder,
        {
          userIds: ids('u', users.rows),
          itemIds: ids('i', users.cols),
          itemColumns: {},
          users,
          items: transpose(users).csr,
          synthetic: true,
          source: {
            merge: 'one',
            columns: { user: 'user', item: 'item' },
            files: [],
            rowsRead: users.idx.length,
            rowsRejected: 0,
            duplicatesMerged: 0,
          },
        },
        pool,
      ),
    );
  } finally {
    await pool.close();
  }
}
