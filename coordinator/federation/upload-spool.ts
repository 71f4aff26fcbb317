import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { explainDisk } from '../../common/atomic-files.js';
import { assert, NumericError, ShapeError } from '../../common/errors.js';

/**
 * Unmasked deliveries of one round, a file each: numbers are read back in the order of participants, whatever the order
 * of their arrival, so that the sum has the same bits; and memory holds one piece, however large they are.
 */
export class UploadSpool {
  readonly #dir: string;
  readonly #length: number;
  /** Whole deliveries by participant. */
  readonly #files = new Map<string, FileHandle>();
  #numbersRead = 0;
  #serial = 0;

  /** @param dir of this round alone; made by the first delivery. @param length numbers of each. */
  constructor(dir: string, length: number) {
    this.#dir = dir;
    this.#length = length;
  }

  async begin(participant: string): Promise<SpooledUpload> {
    try {
      await mkdir(this.#dir, { recursive: true });
      const file = path.join(this.#dir, `${++this.#serial}.f64`);
      return new SpooledUpload(await open(file, 'wx+'), file, this.#length, (handle) => {
        assert(!this.#files.has(participant), 'a participant delivers once');
        this.#files.set(participant, handle);
      });
    } catch (error) {
      throw explainDisk(error, this.#dir);
    }
  }

  /** The next numbers of the sum over these participants, in this order. */
  async next(count: number, participants: readonly string[]): Promise<Float64Array> {
    const sum = new Float64Array(count);
    const part = new Float64Array(count);
    const bytes = new Uint8Array(part.buffer);
    for (const participant of participants) {
      const handle = this.#files.get(participant);
      assert(handle !== undefined, `${participant} has delivered`);
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, 8 * this.#numbersRead);
      assert(bytesRead === bytes.length, 'a delivery is whole');
      for (let n = 0; n < count; n++) sum[n] = sum[n]! + part[n]!;
    }
    this.#numbersRead += count;
    return sum;
  }

  async discard(): Promise<void> {
    for (const handle of this.#files.values()) await handle.close();
    this.#files.clear();
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** One delivery on its way to disk. */
export class SpooledUpload {
  readonly #handle: FileHandle;
  readonly #file: string;
  readonly #bytesDue: number;
  readonly #keep: (handle: FileHandle) => void;
  #bytes = 0;

  constructor(handle: FileHandle, file: string, length: number, keep: (handle: FileHandle) => void) {
    this.#handle = handle;
    this.#file = file;
    this.#bytesDue = 8 * length;
    this.#keep = keep;
  }

  /**
   * @throws {ShapeError} more than is due, or no whole numbers; {NumericError} `STOA_NUMERIC_NOT_FINITE`;
   *   {SystemError} `STOA_DISK_FULL`.
   */
  async take(bytes: Uint8Array): Promise<void> {
    if (bytes.length % 8 !== 0 || this.#bytes + bytes.length > this.#bytesDue) {
      throw new ShapeError(
        'STOA_SHAPE',
        `${bytes.length} bytes are no piece of what is left of the delivery`,
      );
    }
    requireFinite(bytes);
    await this.#handle.write(bytes, 0, bytes.length, this.#bytes).catch((error: unknown) => {
      throw explainDisk(error, this.#file);
    });
    this.#bytes += bytes.length;
  }

  get isWhole(): boolean {
    return this.#bytes === this.#bytesDue;
  }

  /** It counts from now on. */
  keep(): void {
    this.#keep(this.#handle);
  }

  async abandon(): Promise<void> {
    await this.#handle.close();
    await rm(this.#file, { force: true });
  }
}

/** One participant's NaN must not become everybody's. */
function requireFinite(bytes: Uint8Array): void {
  const numbers = new Float64Array(new Uint8Array(bytes).buffer);
  let isGood = true;
  // x − x is 0 for every finite x, and NaN for all others.
  for (let n = 0; n < numbers.length; n++) isGood &&= numbers[n]! - numbers[n]! === 0;
  if (isGood) return;
  throw new NumericError(
    'STOA_NUMERIC_NOT_FINITE',
    'a number of the delivery is not finite; nothing of it counts',
  );
}
