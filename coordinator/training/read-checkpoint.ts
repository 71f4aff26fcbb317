import path from 'node:path';
import { sharedFloat32 } from '../../common/shared-memory.js';
import { packedGramLength } from '../../models/gram.js';
import type { RunConfig } from '../plan/run-config.js';
import type { Snapshot } from './checkpoint.js';
import { type CheckpointManifest, readManifest, type TableEntry, tablePath } from './checkpoint-manifest.js';
import { readTable } from './table-file.js';

/**
 * Reads a checkpoint by its name, whole.
 *
 * @param expectedSha256 what the journal says of its manifest; absent: it is only checked against itself.
 * @throws {CorruptError} something is not what was written: names the file.
 */
export async function readCheckpoint(
  dir: string,
  name: string,
  expectedSha256: string | undefined,
): Promise<{ manifest: CheckpointManifest; snapshot: Snapshot }> {
  const manifest = await readManifest(path.join(dir, name), expectedSha256);
  const { factors, best } = manifest;
  const users = await load(dir, manifest.users, factors);
  const items = await load(dir, manifest.items, factors);
  const snapshot = {
    runId: manifest.run_id,
    plan: manifest.plan,
    config: manifest.config as RunConfig,
    nextPhase: manifest.next_phase,
    factors,
    clocks: { users: manifest.users.clock, items: manifest.items.clock },
    tables: { users: users.rows, items: items.rows },
    sums: { users: users.sums, items: items.sums },
    best: best && {
      nextPhase: best.next_phase,
      clocks: { users: best.users.clock, items: best.items.clock },
      tables: {
        users: (await load(dir, best.users, factors)).rows,
        items: (await load(dir, best.items, factors)).rows,
      },
    },
  };
  return { manifest, snapshot };
}

async function load(dir: string, entry: TableEntry, factors: number) {
  const rows = sharedFloat32(entry.rows * factors);
  const hasGram = entry.bytes > rows.byteLength;
  const gram = new Float64Array(hasGram ? packedGramLength(factors) : 0);
  await readTable(tablePath(dir, entry), entry, rows, gram);
  return { rows, sums: hasGram ? { gram, penalty: entry.penalty } : undefined };
}
