import { statfsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { SystemError } from '../../common/errors.js';

/**
 * Kept free for what must still be written when the disk runs full: the ends of runs, and pages that a store copies.
 * Less, and a store may meet a full disk in the middle of a transaction, which ends the process.
 */
export const DISK_RESERVE_BYTES = 64 << 20;
/** How often a full disk is looked at again. */
const LOOK_MS = 500;

/** Keeps writers off a disk that is nearly full, so that none of them meets the end of it half way. */
export class DiskGuard {
  readonly #dir: string;
  readonly #reserveBytes: number;

  constructor(dir: string, reserveBytes = DISK_RESERVE_BYTES) {
    this.#dir = dir;
    this.#reserveBytes = reserveBytes;
  }

  /** True when `bytes` more leave the reserve untouched. */
  hasRoom(bytes: number): boolean {
    const { bavail, bsize } = statfsSync(this.#dir);
    return bavail * bsize >= this.#reserveBytes + bytes;
  }

  /** @throws {SystemError} `STOA_DISK_FULL`: nothing was written. */
  requireRoom(bytes: number): void {
    if (this.hasRoom(bytes)) return;
    throw new SystemError(
      'STOA_DISK_FULL',
      `less than ${megabytes(this.#reserveBytes + bytes)} MB are free on the disk of ${this.#dir}; nothing was written, free some space and try again`,
      { fields: { file: this.#dir } },
    );
  }

  /**
   * Resolves when there is room.
   *
   * @param onWait called once, with a sentence, when there is none at first.
   * @throws the signal's reason.
   */
  async untilRoom(bytes: number, signal: AbortSignal, onWait: (sentence: string) => void): Promise<void> {
    if (this.hasRoom(bytes)) return;
    onWait(
      `less than ${megabytes(this.#reserveBytes + bytes)} MB are free on the disk of ${this.#dir}; waiting until there is room`,
    );
    while (!this.hasRoom(bytes)) await sleep(LOOK_MS, undefined, { signal });
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(bytes < 10e6 ? 1 : 0);
}
