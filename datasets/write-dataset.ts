import type { Csr } from '../models/csr.js';
import type { BuildPool } from './build-pool.js';
import { type DatasetDetails, DatasetWriter, type WrittenDataset } from './dataset-writer.js';

export interface DatasetContents extends DatasetDetails {
  users: Csr;
  /** Parallel to `users.idx`. */
  times?: Float64Array;
  /** The transpose of `users`. */
  items: Csr;
}

/**
 * Writes a dataset whose rows are all known into a folder that is there and empty; the caller makes it appear whole
 * (publishFolder). Same contents, same bytes.
 */
export async function writeDataset(
  dir: string,
  contents: DatasetContents,
  pool: BuildPool,
): Promise<WrittenDataset> {
  const writer = new DatasetWriter(dir, pool);
  try {
    writer.writeSide('users', contents.users, contents.times);
    writer.writeSide('items', contents.items);
    return await writer.finish(contents);
  } finally {
    await writer.settle();
  }
}
