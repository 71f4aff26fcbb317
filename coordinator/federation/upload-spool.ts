import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { explainDisk } from '../../common/atomic-files.js';
import { assert, NumericError, ShapeError } from '../../common/errors.js';
import type { NumberBytes } from '../../federation/protocol/round-sums.js';
import { type DeliveryPlace, FilePlace, MemoryPlace } from './delivery-place.js';

/**
 * Deliveries of a round that stay in memory, all together: those of 5 participants at 20,000 items and K = 64, or of 50
 * with `cg` at 10,000. Larger ones go to disk, which takes twice as long, and memory holds one piece.
 */
const MEMORY_BYTES_MAX = 256 << 20;

export interface SpoolOptions {
  /** Numbers of each delivery. */
  length: number;
  /** Of each number: f32 or f64. */
  numberBytes: NumberBytes;
  /** Most that may come. */
  deliveries: number;
}

/**
 * Unmasked deliveries of one round: numbers are read back in the order of participants, whatever the order of their
 * arrival, so that the sum has the same bits.
 */
export class UploadSpool {
  readonly #dir: string;
  readonly #o: SpoolOptions;
  readonly #isInMemory: boolean;
  /** Whole deliveries by participant. */
  readonly #whole = new Map<string, DeliveryPlace>();
  #numbersRead = 0;
  #serial = 0;

  /** @param dir of this round alone; made by the first delivery that goes to disk. */
  constructor(dir: string, options: SpoolOptions, memoryBytesMax = MEMORY_BYTES_MAX) {
    this.#dir = dir;
    this.#o = options;
    const { length, numberBytes, deliveries } = options;
    this.#isInMemory = length * numberBytes * deliveries <= memoryBytesMax;
  }

  async begin(participant: string): Promise<SpooledUpload> {
    return new SpooledUpload(await this.#place(), this.#o, (place) => {
      assert(!this.#whole.has(participant), 'a participant delivers once');
      this.#whole.set(participant, place);
    });
  }

  /** The next numbers of the sum over these participants, in this order. */
  async next(count: number, participants: readonly string[]): Promise<Float64Array> {
    const { numberBytes } = this.#o;
    const sum = new Float64Array(count);
    const part = numberBytes === 4 ? new Float32Array(count) : new Float64Array(count);
    const bytes = new Uint8Array(part.buffer);
    for (const participant of participants) {
      const place = this.#whole.get(participant);
      assert(place !== undefined, `${participant} has delivered`);
      await place.read(bytes, numberBytes * this.#numbersRead);
      if (part instanceof Float32Array) addFloats(sum, part);
      else addDoubles(sum, part);
    }
    this.#numbersRead += count;
    return sum;
  }

  async discard(): Promise<void> {
    for (const place of this.#whole.values()) await place.drop();
    this.#whole.clear();
    if (!this.#isInMemory) await rm(this.#dir, { recursive: true, force: true });
  }

  async #place(): Promise<DeliveryPlace> {
    if (this.#isInMemory) return new MemoryPlace();
    try {
      await mkdir(this.#dir, { recursive: true });
      return await FilePlace.make(path.join(this.#dir, String(++this.#serial)));
    } catch (error) {
      throw explainDisk(error, this.#dir);
    }
  }
}

/** One delivery on its way. */
export class SpooledUpload {
  readonly #place: DeliveryPlace;
  readonly #numberBytes: NumberBytes;
  readonly #bytesDue: number;
  readonly #keep: (place: DeliveryPlace) => void;
  #bytes = 0;

  constructor(
    place: DeliveryPlace,
    { length, numberBytes }: SpoolOptions,
    keep: (place: DeliveryPlace) => void,
  ) {
    this.#place = place;
    this.#numberBytes = numberBytes;
    this.#bytesDue = numberBytes * length;
    this.#keep = keep;
  }

  /**
   * @throws {ShapeError} more than is due, or no whole numbers; {NumericError} `STOA_NUMERIC_NOT_FINITE`;
   *   {SystemError} `STOA_DISK_FULL`.
   */
  async take(bytes: Uint8Array): Promise<void> {
    if (bytes.length % this.#numberBytes !== 0 || this.#bytes + bytes.length > this.#bytesDue) {
      throw new ShapeError(
        'STOA_SHAPE',
        `${bytes.length} bytes are no piece of what is left of the delivery`,
      );
    }
    for (let at = 0; at < bytes.length; at += SCRATCH.length) {
      requireFinite(bytes.subarray(at, at + SCRATCH.length), this.#numberBytes);
    }
    this.#bytes += bytes.length;
    await this.#place.append(bytes);
  }

  get isWhole(): boolean {
    return this.#bytes === this.#bytesDue;
  }

  /** It counts from now on. */
  keep(): void {
    this.#keep(this.#place);
  }

  abandon(): Promise<void> {
    return this.#place.drop();
  }
}

function addFloats(sum: Float64Array, part: Float32Array): void {
  for (let n = 0; n < sum.length; n++) sum[n] = sum[n]! + part[n]!;
}

function addDoubles(sum: Float64Array, part: Float64Array): void {
  for (let n = 0; n < sum.length; n++) sum[n] = sum[n]! + part[n]!;
}

/** Bytes of a message lie anywhere; numbers are looked at here, which costs no memory to be collected. */
const SCRATCH = new Uint8Array(64 << 10);
const FLOATS = new Float32Array(SCRATCH.buffer);
const DOUBLES = new Float64Array(SCRATCH.buffer);

/** One participant's NaN must not become everybody's. @param bytes at most those of the scratch. */
function requireFinite(bytes: Uint8Array, numberBytes: NumberBytes): void {
  SCRATCH.set(bytes);
  const count = bytes.length / numberBytes;
  if ((numberBytes === 4 ? restOfFloats(count) : restOfDoubles(count)) === 0) return;
  throw new NumericError(
    'STOA_NUMERIC_NOT_FINITE',
    'a number of the delivery is not finite; nothing of it counts',
  );
}

/** What is not finite leaves something behind when it is taken from itself. */
function restOfFloats(count: number): number {
  let rest = 0;
  for (let n = 0; n < count; n++) rest += FLOATS[n]! - FLOATS[n]!;
  return rest;
}

function restOfDoubles(count: number): number {
  let rest = 0;
  for (let n = 0; n < count; n++) rest += DOUBLES[n]! - DOUBLES[n]!;
  return rest;
}
