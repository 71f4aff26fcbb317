import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Logger } from 'pino';
import { messageOf } from '../../common/errors.js';
import type { Durability } from '../journal/durability.js';
import type { JournaledRun } from '../journal/entries.js';
import { parseRunConfig, type RunConfig } from '../plan/run-config.js';
import type { RunFolder, RunRecord } from './run-folder.js';

/**
 * Makes a run's folder and the journal agree. The journal counts: it is written first. Only the end of a run that the
 * journal takes for unfinished comes from the folder: somebody has gone on with it there, without a coordinator.
 *
 * @param journaled what the journal says of the run; absent: it does not know it, and learns of it here.
 * @throws errors of `RunFolder.read` where there is nothing to restore the folder from, and of `Journal.append`.
 */
export async function reconcileRun(
  folder: RunFolder,
  journaled: JournaledRun | undefined,
  { durability, runsDir, log }: { durability: Durability; runsDir: string; log: Logger },
): Promise<{ record: RunRecord; config: RunConfig }> {
  const { journal } = durability;
  const found = await folder.read().catch((error: unknown) => {
    if (journaled === undefined) throw error;
    log.warn({ run: journaled.record.run_id }, `${messageOf(error)}; written again from the journal`);
    return undefined;
  });
  if (journaled === undefined) {
    await journal?.append({ kind: 'submitted', ...found! });
    return found!;
  }
  const config = parseRunConfig(journaled.config);
  const record = relocated(journaled.record, path.dirname(path.resolve(runsDir)));
  if (found !== undefined && !isUnfinished(found.record) && isUnfinished(record)) {
    await journal?.append({ kind: 'run', record: found.record });
    return { record: found.record, config };
  }
  if (found === undefined) await folder.restore(record, config);
  else if (JSON.stringify(found.record) !== JSON.stringify(record)) await folder.writeRecord(record);
  return { record, config };
}

/** Data that were uploaded lie in the state folder, which may have been moved, or be mounted elsewhere here. */
function relocated(record: RunRecord, stateDir: string): RunRecord {
  const here = <T extends string | undefined>(dir: T): T | string => {
    if (dir === undefined || existsSync(dir)) return dir;
    const moved = path.join(stateDir, 'datasets', path.basename(dir));
    return existsSync(moved) ? moved : dir;
  };
  const { dataset, test, fold_in } = record;
  return { ...record, dataset: here(dataset), test: here(test), fold_in: here(fold_in) };
}

function isUnfinished({ state }: RunRecord): boolean {
  return state === 'queued' || state === 'running';
}
