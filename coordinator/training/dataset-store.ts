// Datasets that clients sent, by content: STATE/datasets/FINGERPRINT. Nothing that a client says is opened as a path.

import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { publishFolder } from '../../common/atomic-files.js';
import { crc32c, sha256 } from '../../common/checksums.js';
import { CorruptError, NotFoundError, StateError, UsageError } from '../../common/errors.js';
import { type DatasetManifest, MANIFEST_FILE, parseManifest } from '../../datasets/manifest.js';
import type { FileChunk__Output } from '../../proto/generated/stoa/training/v1/FileChunk.js';
import type { UploadDatasetRequest__Output } from '../../proto/generated/stoa/training/v1/UploadDatasetRequest.js';

const FINGERPRINT = /^[0-9a-f]{64}$/;
/** Folder and file of a dataset: lower-case names, at most one folder deep, no dots but before the ending. */
const FILE_NAME = /^(?:[a-z0-9][a-z0-9-]{0,63}\/)?[a-z0-9][a-z0-9-]{0,63}(?:\.[a-z0-9]{1,16}){1,2}$/;
/** A manifest of a thousand shards has 200 KB. */
const MANIFEST_BYTES_MAX = 16 * 1024 * 1024;

export class DatasetStore {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = path.resolve(dir);
  }

  /** @throws {UsageError} not a fingerprint. */
  async has(fingerprint: string): Promise<boolean> {
    const folder = this.#folderOf(fingerprint);
    return stat(path.join(folder, MANIFEST_FILE)).then(
      () => true,
      () => false,
    );
  }

  /** Folder of a dataset. @throws {NotFoundError} `STOA_NOT_FOUND_DATASET`. */
  async folderOf(fingerprint: string, field: string): Promise<string> {
    if (await this.has(fingerprint)) return this.#folderOf(fingerprint);
    throw new NotFoundError(
      'STOA_NOT_FOUND_DATASET',
      `dataset ${fingerprint} is not on this coordinator; upload it first`,
      { fields: { field } },
    );
  }

  /**
   * Receives a dataset: manifest.json first, then the files it names, each exactly as the manifest says.
   *
   * @returns its fingerprint. A dataset that is already there is read and dropped.
   * @throws {CorruptError} `STOA_CHECKSUM`, `STOA_TORN`; nothing was kept.
   */
  async receive(parts: AsyncIterator<UploadDatasetRequest__Output>): Promise<string> {
    await mkdir(this.#dir, { recursive: true });
    const upload = new Upload(parts);
    const manifestBytes = await upload.manifest();
    const manifest = parseManifest(manifestBytes, 'the manifest');
    for (const name of Object.keys(manifest.files)) requireFileName(name);
    const fingerprint = sha256(manifestBytes);
    const folder = this.#folderOf(fingerprint);
    if (await this.has(fingerprint)) {
      await upload.discard();
      return fingerprint;
    }
    try {
      await publishFolder(folder, (temporary) => receiveFiles(upload, temporary, manifestBytes, manifest));
    } catch (error) {
      // Another client sent the same bytes and was faster.
      if (!(error instanceof StateError && (await this.has(fingerprint)))) throw error;
    }
    return fingerprint;
  }

  #folderOf(fingerprint: string): string {
    if (FINGERPRINT.test(fingerprint)) return path.join(this.#dir, fingerprint);
    throw new UsageError(
      'STOA_USAGE',
      'a dataset fingerprint is 64 hexadecimal digits, the SHA-256 of its manifest',
      {
        fields: { field: 'fingerprint' },
      },
    );
  }
}

/** @throws {CorruptError} `STOA_TORN`: not a name that a dataset's files have. */
export function requireFileName(name: string): void {
  if (FILE_NAME.test(name)) return;
  throw new CorruptError('STOA_TORN', `${JSON.stringify(name.slice(0, 80))} is no name of a dataset's file`);
}

async function receiveFiles(
  upload: Upload,
  folder: string,
  manifestBytes: Uint8Array,
  manifest: DatasetManifest,
): Promise<void> {
  const missing = new Map(Object.entries(manifest.files));
  for (let name = await upload.nextFile(); name !== undefined; name = await upload.nextFile()) {
    const entry = missing.get(name);
    if (entry === undefined) {
      throw new CorruptError(
        'STOA_TORN',
        `${JSON.stringify(name.slice(0, 80))} is not due: it is not in the manifest, or was sent before`,
      );
    }
    missing.delete(name);
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    const handle = await open(file, 'wx');
    try {
      await receiveFile(upload, handle, name, entry);
    } finally {
      await handle.close();
    }
  }
  if (missing.size > 0) {
    throw new CorruptError(
      'STOA_TORN',
      `${missing.size} files of the dataset were not sent, for example ${missing.keys().next().value}; upload it again`,
    );
  }
  await writeFile(path.join(folder, MANIFEST_FILE), manifestBytes);
}

async function receiveFile(
  upload: Upload,
  handle: FileHandle,
  name: string,
  entry: { bytes: number; sha256: string },
): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  for (let data = await upload.nextData(); data !== undefined; data = await upload.nextData()) {
    bytes += data.length;
    if (bytes > entry.bytes) break;
    hash.update(data);
    await handle.writeFile(data);
  }
  if (bytes === entry.bytes && hash.digest('hex') === entry.sha256) return;
  throw new CorruptError('STOA_CHECKSUM', `${name} is not what the manifest says; upload the dataset again`, {
    fields: { file: name },
  });
}

/** The parts of an upload, file by file. */
class Upload {
  readonly #parts: AsyncIterator<UploadDatasetRequest__Output>;
  /** Name of a file that has begun but was not asked for yet. */
  #ahead: string | undefined;

  constructor(parts: AsyncIterator<UploadDatasetRequest__Output>) {
    this.#parts = parts;
  }

  async manifest(): Promise<Uint8Array> {
    const name = await this.nextFile();
    if (name !== MANIFEST_FILE) throw new CorruptError('STOA_TORN', `an upload begins with ${MANIFEST_FILE}`);
    const pieces: Buffer[] = [];
    let bytes = 0;
    for (let data = await this.nextData(); data !== undefined; data = await this.nextData()) {
      bytes += data.length;
      if (bytes > MANIFEST_BYTES_MAX) {
        throw new UsageError(
          'STOA_USAGE',
          `the manifest has more than ${MANIFEST_BYTES_MAX} bytes; split the dataset`,
        );
      }
      pieces.push(data);
    }
    return Buffer.concat(pieces);
  }

  /** The next file's name; undefined at the end. */
  async nextFile(): Promise<string | undefined> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead !== undefined) return ahead;
    const part = await this.#parts.next();
    if (part.done) return undefined;
    if (part.value.part !== 'file')
      throw new CorruptError('STOA_TORN', 'bytes came before the name of their file');
    return part.value.file!;
  }

  /** The next bytes of the present file; undefined when it is complete. */
  async nextData(): Promise<Buffer | undefined> {
    if (this.#ahead !== undefined) return undefined;
    const part = await this.#parts.next();
    if (part.done) return undefined;
    if (part.value.part === 'file') {
      this.#ahead = part.value.file!;
      return undefined;
    }
    return checkChunk(part.value.chunk);
  }

  async discard(): Promise<void> {
    while (!(await this.#parts.next()).done);
  }
}

function checkChunk(chunk: FileChunk__Output | null | undefined): Buffer {
  if (chunk && crc32c(chunk.data) === chunk.crc32c) return chunk.data;
  throw new CorruptError(
    'STOA_CHECKSUM',
    'a part of the upload arrived damaged (its CRC-32C disagrees); upload it again',
  );
}
