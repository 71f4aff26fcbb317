// Writes streamed files into a new folder, and only there.

import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { publishFolder } from '../common/atomic-files.js';
import { crc32c } from '../common/checksums.js';
import { CorruptError } from '../common/errors.js';
import type { FetchRunFilesResponse__Output } from '../proto/generated/stoa/training/v1/FetchRunFilesResponse.js';

/** Letters, digits and a few signs, no leading dot: a name that means the same on every system. */
const NAME_PART = /^(?!(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$))[a-z0-9_][a-z0-9._+=-]{0,127}$/i;
/** run folder, model folder, file: deeper names are not ours. */
const NAME_PARTS_MAX = 4;

export interface ReceivedFile {
  file: string;
  bytes: number;
  sha256: string;
}

/**
 * @returns the files in the order they came.
 * @throws {CorruptError} `STOA_CHECKSUM`: a chunk is not what was sent; `STOA_TORN`: a name that leaves the folder or
 *   comes twice, or bytes without a name. Nothing is left behind.
 * @throws {StateError} `STOA_EXISTS`: `outDir` is there and not empty.
 */
export function receiveFiles(
  parts: AsyncIterable<FetchRunFilesResponse__Output>,
  outDir: string,
): Promise<ReceivedFile[]> {
  return publishFolder(outDir, async (folder) => {
    const files: ReceivedFile[] = [];
    let writer: FileWriter | undefined;
    try {
      for await (const part of parts) {
        if (part.part === 'file') {
          if (writer !== undefined) files.push(await writer.finish());
          writer = await FileWriter.open(folder, part.file!);
        } else if (writer === undefined) {
          throw new CorruptError('STOA_TORN', 'the server sent bytes before the name of a file; fetch again');
        } else {
          await writer.append(part.chunk!.data, part.chunk!.crc32c);
        }
      }
      if (writer !== undefined) files.push(await writer.finish());
      return files;
    } catch (error) {
      await writer?.abandon();
      throw error;
    }
  });
}

/** The path within `folder`. @throws {CorruptError} `STOA_TORN`: the name could lead elsewhere. */
export function safePath(folder: string, name: string): string {
  const parts = name.split('/');
  if (parts.length <= NAME_PARTS_MAX && parts.every((part) => NAME_PART.test(part))) {
    return path.join(folder, ...parts);
  }
  const shown = JSON.stringify(name.slice(0, 80));
  throw new CorruptError(
    'STOA_TORN',
    `the server sent a file called ${shown}, which is no name of a run file`,
  );
}

class FileWriter {
  readonly #name: string;
  readonly #handle: FileHandle;
  readonly #hash = createHash('sha256');
  #bytes = 0;

  private constructor(name: string, handle: FileHandle) {
    this.#name = name;
    this.#handle = handle;
  }

  static async open(folder: string, name: string): Promise<FileWriter> {
    const file = safePath(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    const handle = await open(file, 'wx').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
      throw new CorruptError('STOA_TORN', `the server sent ${name} twice; fetch again`);
    });
    return new FileWriter(name, handle);
  }

  async append(data: Buffer, checksum: number): Promise<void> {
    if (crc32c(data) !== checksum) {
      throw new CorruptError(
        'STOA_CHECKSUM',
        `a part of ${this.#name} arrived damaged (its CRC-32C differs); fetch again`,
        { fields: { file: this.#name } },
      );
    }
    this.#hash.update(data);
    this.#bytes += data.length;
    await this.#handle.writeFile(data);
  }

  async finish(): Promise<ReceivedFile> {
    await this.#handle.close();
    return { file: this.#name, bytes: this.#bytes, sha256: this.#hash.digest('hex') };
  }

  async abandon(): Promise<void> {
    // The file goes with its folder; closing it twice is no error worth a word.
    await this.#handle.close().catch(() => undefined);
  }
}
