// A checkpoint that is on disk, by its manifest: with its rows in memory, or checked and left where they are.

import { sharedFloat32 } from '../../common/shared-memory.js';
import { packedGramLength } from '../../models/gram.js';
import type { TableSums } from '../parameters/phase-ledger.js';
import type { RowSource } from '../parameters/row-source.js';
import type { RunConfig } from '../plan/run-config.js';
import type { Snapshot } from './checkpoint.js';
import { type CheckpointManifest, type TableEntry, tablePath } from './checkpoint-manifest.js';
import { readGram, readTable, tableSource } from './table-file.js';

/** With its rows in memory. @throws {CorruptError} `STOA_TORN`, `STOA_CHECKSUM`. */
export function loadSnapshot(dir: string, manifest: CheckpointManifest): Promise<Snapshot> {
  const { factors } = manifest;
  return snapshotOf(manifest, async (entry, gram) => {
    const rows = sharedFloat32(entry.rows * factors);
    await readTable(tablePath(dir, entry), entry, rows, gram);
    return rows;
  });
}

/** Its rows stay on the disk: all have been checked, and are again when they are read. Errors as `loadSnapshot`. */
export function checkSnapshot(dir: string, manifest: CheckpointManifest): Promise<Snapshot<RowSource>> {
  return snapshotOf(manifest, async (entry, gram) => {
    const file = tablePath(dir, entry);
    await readGram(file, entry, gram);
    return tableSource(file, entry, manifest.factors);
  });
}

async function snapshotOf<Rows>(
  manifest: CheckpointManifest,
  read: (entry: TableEntry, gram: Float64Array) => Promise<Rows>,
): Promise<Snapshot<Rows>> {
  const { run_id: runId, plan, config, next_phase: nextPhase, factors } = manifest;
  const readEntry = async (entry: TableEntry) => {
    const hasGram = entry.bytes > entry.rows * factors * 4;
    const gram = new Float64Array(hasGram ? packedGramLength(factors) : 0);
    const rows = await read(entry, gram);
    const sums: TableSums | undefined = hasGram ? { gram, penalty: entry.penalty } : undefined;
    return { rows, sums };
  };
  const users = await readEntry(manifest.users);
  const items = await readEntry(manifest.items);
  const { best } = manifest;
  return {
    runId,
    plan,
    config: config as RunConfig,
    nextPhase,
    factors,
    clocks: { users: manifest.users.clock, items: manifest.items.clock },
    tables: { users: users.rows, items: items.rows },
    sums: { users: users.sums, items: items.sums },
    best: best && {
      nextPhase: best.next_phase,
      clocks: { users: best.users.clock, items: best.items.clock },
      tables: { users: (await readEntry(best.users)).rows, items: (await readEntry(best.items)).rows },
    },
  };
}
