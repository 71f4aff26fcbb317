// Where a worker gets the shards of a run's dataset from: the folder itself, or the coordinator.

import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { isLoopback } from '../common/addresses.js';
import { writeFileAtomic } from '../common/atomic-files.js';
import { crc32c, sha256 } from '../common/checksums.js';
import { CorruptError } from '../common/errors.js';
import { sharedBytes } from '../common/shared-memory.js';
import {
  type CsrShard,
  type DatasetManifest,
  openDataset,
  parseManifest,
  parseShard,
} from '../datasets/dataset.js';
import type { Side } from '../models/csr.js';
import type { GetRunSpecResponse__Output } from '../proto/generated/stoa/training/v1/GetRunSpecResponse.js';
import type { CoordinatorLink } from './coordinator-link.js';

export interface DatasetSource {
  readonly fingerprint: string;
  loadShard(side: Side, index: number, signal: AbortSignal): Promise<CsrShard>;
}

/**
 * The folder that the coordinator names, when both are on one machine and its manifest is the run's; otherwise files
 * are fetched into `cacheDir` and kept there. A path from another machine is never opened.
 *
 * @throws {CorruptError} the manifest is not what its fingerprint says.
 */
export async function openSource(
  spec: GetRunSpecResponse__Output,
  link: CoordinatorLink,
  cacheDir: string,
): Promise<DatasetSource> {
  if (isLoopback(link.address.host)) {
    const dataset = await openDataset(spec.datasetPath).catch(() => undefined);
    if (dataset?.fingerprint === spec.datasetFingerprint) {
      return { fingerprint: dataset.fingerprint, loadShard: (side, index) => dataset.loadRows(side, index) };
    }
  }
  if (sha256(spec.manifest) !== spec.datasetFingerprint) {
    throw new CorruptError(
      'STOA_CHECKSUM',
      `the manifest of run ${spec.runId} is not what its fingerprint says`,
    );
  }
  const manifest = parseManifest(spec.manifest, `the manifest of run ${spec.runId}`);
  return new FetchedDataset(spec, manifest, link, path.join(cacheDir, 'datasets', spec.datasetFingerprint));
}

class FetchedDataset implements DatasetSource {
  readonly fingerprint: string;
  readonly #runId: string;
  readonly #manifest: DatasetManifest;
  readonly #link: CoordinatorLink;
  readonly #dir: string;

  constructor(
    spec: GetRunSpecResponse__Output,
    manifest: DatasetManifest,
    link: CoordinatorLink,
    dir: string,
  ) {
    this.fingerprint = spec.datasetFingerprint;
    this.#runId = spec.runId;
    this.#manifest = manifest;
    this.#link = link;
    this.#dir = dir;
  }

  async loadShard(side: Side, index: number, signal: AbortSignal): Promise<CsrShard> {
    const entry = this.#manifest.shards[side][index]!;
    // parseManifest lets only names of shards through.
    const file = path.join(this.#dir, entry.file);
    const { bytes: size, sha256: checksum } = this.#manifest.files[entry.file]!;
    const kept = await readFile(file).catch(() => undefined);
    if (kept?.length === size && sha256(kept) === checksum) {
      return parseShard(kept, entry, side, index, this.#manifest);
    }
    const bytes = await this.#fetch(entry.file, size, signal);
    const shard = parseShard(bytes, entry, side, index, this.#manifest);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFileAtomic(file, bytes);
    return shard;
  }

  async #fetch(file: string, size: number, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = sharedBytes(size);
    let filled = 0;
    const call = this.#link.data.FetchDatasetFile({ runId: this.#runId, file });
    for await (const { data, crc32c: checksum } of this.#link.stream(call, signal)) {
      if (crc32c(data) !== checksum || filled + data.length > size) throw damaged(file);
      bytes.set(data, filled);
      filled += data.length;
    }
    if (filled !== size) throw damaged(file);
    return bytes;
  }
}

function damaged(file: string): CorruptError {
  return new CorruptError('STOA_CHECKSUM', `${file} arrived damaged; it is fetched again`, {
    fields: { file },
  });
}
