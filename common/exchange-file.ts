// A file in memory through which two processes of one machine hand over bytes. One makes it and says its name over
// the network; whoever can open a file of that name in the exchange folder is on the same machine and the same user.
// The name is never a path: the folder is what this program itself makes of the user's number. Reads and writes copy;
// nothing is mapped, so that a file that a peer cuts short, or a memory file system that is full, is an error and not
// a crash.

import { randomBytes } from 'node:crypto';
import { closeSync, constants, lstatSync, mkdirSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';
import { CorruptError } from './errors.js';

/** Where Linux has a file system in memory; elsewhere there is no exchange, and bytes go over the network. */
const MEMORY_FOLDER = '/dev/shm';
/** 128 random bits: a name cannot be guessed. */
const NAME = /^[0-9a-f]{32}$/;
/** What an exchange file begins with, before its name: no other file is taken for one. */
const MAGIC = 'stoa exchange 1 ';
/** Where the bytes that are handed over begin: a page is left to what the file says of itself. */
const START = 4096;

export class ExchangeFile {
  readonly name: string;
  readonly #descriptor: number;
  readonly #path: string;
  /** A descriptor's number goes to another file once it is closed: it must never be used again. */
  #isClosed = false;

  private constructor(name: string, file: string, descriptor: number) {
    this.name = name;
    this.#path = file;
    this.#descriptor = descriptor;
  }

  /** Makes a file; undefined where this machine has no file system in memory, or it cannot be used. */
  static create(): ExchangeFile | undefined {
    const folder = exchangeFolder();
    if (folder === undefined) return undefined;
    const name = randomBytes(16).toString('hex');
    const file = path.join(folder, name);
    try {
      const descriptor = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
      const made = new ExchangeFile(name, file, descriptor);
      writeSync(descriptor, headerOf(name));
      return made;
    } catch {
      rmSync(file, { force: true });
      return undefined;
    }
  }

  /** Opens the file of a name that a peer said; undefined when it is not on this machine. */
  static open(name: string): ExchangeFile | undefined {
    const folder = NAME.test(name) ? exchangeFolder() : undefined;
    if (folder === undefined) return undefined;
    const file = path.join(folder, name);
    let descriptor: number;
    try {
      descriptor = openSync(file, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch {
      return undefined;
    }
    const opened = new ExchangeFile(name, file, descriptor);
    if (opened.#saysItsName()) return opened;
    opened.close();
    return undefined;
  }

  /** Takes the name away once both sides have the file open: it is gone with the last of them, however they end. */
  unlink(): void {
    rmSync(this.#path, { force: true });
  }

  /** Writes bytes. False when the file system is full or the file closed: what is there then counts for nothing. */
  write(at: number, bytes: Uint8Array): boolean {
    if (this.#isClosed) return false;
    try {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(this.#descriptor, bytes, done, bytes.length - done, START + at + done);
      }
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') return false;
      throw error;
    }
  }

  /** Fills `out`. @throws {CorruptError} `STOA_CHECKSUM`: the file ends before. */
  read(at: number, out: Uint8Array): void {
    for (let done = 0; done < out.length; ) {
      const got = readSync(this.#descriptor, out, done, out.length - done, START + at + done);
      if (got === 0)
        throw new CorruptError('STOA_CHECKSUM', 'an exchange file ends before what it should hold');
      done += got;
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #saysItsName(): boolean {
    const expected = headerOf(this.name);
    const found = Buffer.alloc(expected.length);
    try {
      return readSync(this.#descriptor, found, 0, found.length, 0) === found.length && found.equals(expected);
    } catch {
      return false;
    }
  }
}

function headerOf(name: string): Buffer {
  return Buffer.from(`${MAGIC}${name}\n`);
}

/** The folder of this user's exchange files; undefined unless it is ours alone. */
function exchangeFolder(): string | undefined {
  const user = process.getuid?.();
  if (user === undefined) return undefined;
  const folder = path.join(MEMORY_FOLDER, `stoa-${user}`);
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return undefined;
  }
  try {
    const { uid, mode } = lstatSync(folder);
    const isOurs = (mode & constants.S_IFMT) === constants.S_IFDIR && uid === user && (mode & 0o077) === 0;
    return isOurs ? folder : undefined;
  } catch {
    return undefined;
  }
}
