import { clearReplacement, replaceFolder, requireNothingElse } from '../../common/replace-folder.js';
import type { Csr } from '../../models/csr.js';
import { fillModelFolder, type LoadedModel, MANIFEST_FILE, openModel } from './model-folder.js';
import { MODEL_FILES } from './model-manifest.js';

/**
 * Removes a user from a model folder: id, factors, history, and the part in how often items were taken. The items'
 * factors stay as they were trained.
 *
 * Killed at any moment, the folder is the old or the new one (`replaceFolder`). Nobody else may write there meanwhile.
 *
 * @param dir a model, or a run that has one.
 * @returns false: the model has no such user; what an earlier attempt left beside it is removed.
 * @throws errors of `openModel`: nothing was touched; {StateError} `STOA_ERASURE`: other files are there, too;
 *   {SystemError} `STOA_DISK_FULL`, `STOA_ACCESS`: as it was.
 */
export async function forgetModelUser(dir: string, userId: string): Promise<boolean> {
  const model = await openModel(dir);
  await clearReplacement(model.dir);
  const row = model.userIds.indexOf(userId);
  if (row < 0) return false;
  await requireNothingElse(model.dir, [MANIFEST_FILE, ...Object.values(MODEL_FILES)]);
  const { manifest, factors, userFactors, version, itemsTable, itemFactors, synthetic } = model;
  const { runId, datasetFingerprint, devices } = manifest.lineage;
  const users = new Float32Array(userFactors.length - factors);
  users.set(userFactors.subarray(0, row * factors));
  users.set(userFactors.subarray((row + 1) * factors), row * factors);
  await replaceFolder(model.dir, (temporary) =>
    fillModelFolder(temporary, {
      version,
      runId,
      createTime: new Date(manifest.createTime),
      config: manifest.config,
      datasetFingerprint,
      synthetic,
      userIds: model.userIds.toSpliced(row, 1),
      items: itemsTable,
      userFactors: users,
      itemFactors,
      history: historyWithout(model, row),
      ...(manifest.metrics === undefined ? {} : { metrics: manifest.metrics }),
      ...(devices === undefined ? {} : { devices }),
    }),
  );
  return true;
}

function historyWithout({ history }: LoadedModel, row: number): Csr {
  const { rows, cols, ptr, idx, values } = history;
  const [from, to] = [ptr[row]!, ptr[row + 1]!];
  const isOther = (_: number, at: number) => at < from || at >= to;
  return {
    rows: rows - 1,
    cols,
    ptr: Int32Array.from({ length: rows }, (_, at) => (at <= row ? ptr[at]! : ptr[at + 1]! - (to - from))),
    idx: idx.filter(isOther),
    values: values?.filter(isOther),
  };
}
