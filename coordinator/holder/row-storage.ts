// Where a parameter process keeps the rows of a table: in memory, or in a file.

import { randomBytes } from 'node:crypto';
import { closeSync, constants, ftruncateSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { explainDisk } from '../../common/atomic-files.js';
import { bytesOf } from '../../common/row-chunks.js';

/** f32 numbers, zero at first. Positions are in numbers. */
export interface RowStorage {
  readonly byteLength: number;
  /** Numbers `from` (in) to `to` (out): valid until they are changed. */
  read(from: number, to: number): Float32Array;
  /** Has numbers written in one go; where `write` throws, what stands there is spoilt or as it was. */
  edit(from: number, to: number, write: (out: Float32Array) => void): void;
  /** Lets them go. Safe to call twice. */
  close(): void;
}

/** Makes storage for so many numbers. */
export type StorageMaker = (length: number) => RowStorage;

export function memoryStorage(length: number): RowStorage {
  const numbers = new Float32Array(length);
  return {
    byteLength: numbers.byteLength,
    read: (from, to) => numbers.subarray(from, to),
    edit: (from, to, write) => write(numbers.subarray(from, to)),
    close: () => {},
  };
}

/**
 * Storage in files of a folder that must be there. A file has no name once it is open: it is gone with the process,
 * however that ends. Reads and writes copy, and the system keeps in memory what it has room for; nothing is mapped, so
 * that a disk that is full or fails is an error (`STOA_DISK_FULL`, `STOA_DISK_FAILED`) and not the end of the process.
 */
export function fileStorage(folder: string): StorageMaker {
  return (length) => {
    const file = path.join(folder, `rows-${randomBytes(8).toString('hex')}`);
    const explaining = <T>(act: () => T): T => {
      try {
        return act();
      } catch (error) {
        throw explainDisk(error, file);
      }
    };
    const byteLength = length * 4;
    const descriptor = explaining(() => {
      const opened = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
      rmSync(file);
      ftruncateSync(opened, byteLength);
      return opened;
    });
    let isOpen = true;
    return {
      byteLength,
      read: (from, to) => {
        const numbers = new Float32Array(to - from);
        explaining(() => readAll(descriptor, bytesOf(numbers), 4 * from));
        return numbers;
      },
      edit: (from, to, write) => {
        const numbers = new Float32Array(to - from);
        write(numbers);
        explaining(() => writeAll(descriptor, bytesOf(numbers), 4 * from));
      },
      close: () => {
        if (isOpen) closeSync(descriptor);
        isOpen = false;
      },
    };
  };
}

function readAll(descriptor: number, out: Buffer, position: number): void {
  for (let at = 0; at < out.length; ) {
    const got = readSync(descriptor, out, at, out.length - at, position + at);
    if (got === 0) throw new Error('the file was cut short');
    at += got;
  }
}

function writeAll(descriptor: number, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length; ) {
    at += writeSync(descriptor, bytes, at, bytes.length - at, position + at);
  }
}
