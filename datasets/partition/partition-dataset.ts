// Spreads a dataset over institutions, for federated training on one machine.

import { publishFolder } from '../../common/atomic-files.js';
import { DataError, UsageError } from '../../common/errors.js';
import { suggestion } from '../../common/nearest.js';
import { sharedFloat32, sharedInt32 } from '../../common/shared-memory.js';
import type { Csr } from '../../models/csr.js';
import { BuildPool } from '../build-pool.js';
import { transpose } from '../csr/transpose.js';
import { openDataset } from '../dataset.js';
import { writeDataset } from '../write-dataset.js';
import { assignInstitutions, type Partition } from './assign-institutions.js';

export interface PartitionOptions {
  /** Dataset folder. */
  dataset: string;
  /** Folder of each institution's dataset; none may be there. */
  folders: readonly string[];
  /** `by-user`, `skewed` or `by-column:NAME`. */
  partition: string;
  seed: number;
}

export interface PartitionReport {
  /** Institution of each user. */
  owners: Int32Array;
}

/**
 * Writes one dataset an institution. Each knows all items, as of a published catalogue, and its own learners.
 *
 * @throws {UsageError} no such partition or column; {DataError} `STOA_DATA_EMPTY`: an institution would have nobody.
 */
export async function partitionDataset(options: PartitionOptions): Promise<PartitionReport> {
  const { folders, seed } = options;
  const dataset = await openDataset(options.dataset);
  const items = await dataset.items();
  const partition = parsePartition(options.partition, items.columns);
  const users = await dataset.loadCsr('users');
  const userIds = await dataset.userIds();
  const owners = assignInstitutions(users, folders.length, partition, seed);
  for (const [institution, folder] of folders.entries()) {
    const rows = rowsOf(owners, institution);
    const own = selectRows(users, rows);
    if (own.idx.length === 0) {
      throw new DataError(
        'STOA_DATA_EMPTY',
        `institution ${institution + 1} of ${folders.length} would have no interactions with --partition ${options.partition}; take fewer`,
        { fields: { field: '--participants' } },
      );
    }
    await publishFolder(folder, async (temporary) => {
      const pool = new BuildPool(1);
      try {
        await writeDataset(
          temporary,
          {
            userIds: Array.from(rows, (row) => userIds[row]!),
            itemIds: items.ids,
            itemColumns: items.columns,
            users: own,
            items: transpose(own).csr,
            synthetic: dataset.manifest.synthetic,
            source: dataset.manifest.source,
            split: {
              strategy: `institution ${institution + 1} of ${folders.length}, ${options.partition}`,
              role: 'train',
              of: dataset.fingerprint,
              seed,
            },
          },
          pool,
        );
      } finally {
        await pool.close();
      }
    });
  }
  return { owners };
}

/** Rows of one institution, ascending. */
export function rowsOf(owners: Int32Array, institution: number): Int32Array {
  return Int32Array.from([...owners.keys()].filter((row) => owners[row] === institution));
}

function parsePartition(text: string, columns: Record<string, (string | null)[]>): Partition {
  if (text === 'by-user' || text === 'skewed') return { kind: text };
  const column = /^by-column:(.+)$/.exec(text)?.[1];
  if (column === undefined) {
    throw new UsageError(
      'STOA_USAGE',
      `--partition ${text}: expected by-user, skewed, or by-column:NAME with a column of the items`,
      { fields: { field: '--partition' } },
    );
  }
  const values = columns[column];
  if (values !== undefined) return { kind: 'by-column', column, values };
  const known = Object.keys(columns);
  const hint = suggestion(column, known) || `; there are ${known.join(', ') || 'none'}`;
  throw new UsageError('STOA_USAGE', `--partition ${text}: the items have no column "${column}"${hint}`, {
    fields: { field: '--partition' },
  });
}

function selectRows(csr: Csr, rows: Int32Array): Csr {
  const ptr = sharedInt32(rows.length + 1);
  for (const [at, row] of rows.entries()) ptr[at + 1] = ptr[at]! + csr.ptr[row + 1]! - csr.ptr[row]!;
  const idx = sharedInt32(ptr[rows.length]!);
  const values = csr.values && sharedFloat32(idx.length);
  for (const [at, row] of rows.entries()) {
    idx.set(csr.idx.subarray(csr.ptr[row], csr.ptr[row + 1]), ptr[at]);
    values?.set(csr.values!.subarray(csr.ptr[row], csr.ptr[row + 1]), ptr[at]);
  }
  return { rows: rows.length, cols: csr.cols, ptr, idx, values };
}
