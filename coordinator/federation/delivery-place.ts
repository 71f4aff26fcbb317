// Where one delivery lies until its round is over.

import { type FileHandle, open, rm } from 'node:fs/promises';
import { explainDisk } from '../../common/atomic-files.js';
import { assert } from '../../common/errors.js';

export interface DeliveryPlace {
  /** Appends. The bytes are the place's from then on. @throws {SystemError} `STOA_DISK_FULL`. */
  append(bytes: Uint8Array): Promise<void>;
  /** Reads as many bytes as `into` has, from `at` on; they were written. */
  read(into: Uint8Array, at: number): Promise<void>;
  drop(): Promise<void>;
}

export class MemoryPlace implements DeliveryPlace {
  /** In order; each begins where the one before ends. */
  #pieces: { readonly start: number; readonly bytes: Uint8Array }[] = [];
  #length = 0;

  async append(bytes: Uint8Array): Promise<void> {
    this.#pieces.push({ start: this.#length, bytes });
    this.#length += bytes.length;
  }

  async read(into: Uint8Array, at: number): Promise<void> {
    assert(at + into.length <= this.#length, 'what is read was written');
    for (const { start, bytes } of this.#pieces) {
      const from = Math.max(at, start);
      const to = Math.min(at + into.length, start + bytes.length);
      if (from < to) into.set(bytes.subarray(from - start, to - start), from - at);
    }
  }

  async drop(): Promise<void> {
    this.#pieces = [];
  }
}

export class FilePlace implements DeliveryPlace {
  readonly #file: string;
  readonly #handle: FileHandle;
  #length = 0;

  private constructor(file: string, handle: FileHandle) {
    this.#file = file;
    this.#handle = handle;
  }

  /** @param file a new one, in a folder that is there. @throws {SystemError} `STOA_DISK_FULL`. */
  static async make(file: string): Promise<FilePlace> {
    return new FilePlace(file, await open(file, 'wx+'));
  }

  async append(bytes: Uint8Array): Promise<void> {
    await this.#handle.write(bytes, 0, bytes.length, this.#length).catch((error: unknown) => {
      throw explainDisk(error, this.#file);
    });
    this.#length += bytes.length;
  }

  async read(into: Uint8Array, at: number): Promise<void> {
    const { bytesRead } = await this.#handle.read(into, 0, into.length, at);
    assert(bytesRead === into.length, 'what is read was written');
  }

  async drop(): Promise<void> {
    await this.#handle.close();
    await rm(this.#file, { force: true });
  }
}
