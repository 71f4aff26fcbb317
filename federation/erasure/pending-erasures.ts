// Learners who were forgotten and have no receipt yet. While an erasure is pending its salt is kept, so that a repeated
// one ends the same work, and so that the learner is noticed who comes back by an old file. With the receipt it goes.

import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { explainDisk, writeFileAtomic } from '../../common/atomic-files.js';
import { CorruptError, StateError } from '../../common/errors.js';
import { newSalt, SALT_BYTES, sealSubject } from './erasure-receipt.js';

/** Folder within the one of what a participant remembers. */
export const ERASURES = 'erasures';
const FILE = 'pending.json';
/** Whoever has salt and hash can try ids. */
const OWNER_ONLY = 0o600;

const erasureSchema = z.strictObject({
  /** `sealSubject` of the learner's id. */
  subject: z.string().regex(/^[0-9a-f]{64}$/),
  salt: z.string().regex(new RegExp(`^[0-9a-f]{${2 * SALT_BYTES}}$`)),
  begin_time: z.iso.datetime(),
  /** Absent: it was begun and not ended. */
  erase_time: z.iso.datetime().optional(),
});

const fileSchema = z.strictObject({
  format: z.literal('stoa-pending-erasures'),
  version: z.literal(1),
  pending: z.array(erasureSchema),
});

export type PendingErasure = z.infer<typeof erasureSchema>;

/** The only writer of its folder. Every change is on disk when it resolves. */
export class PendingErasures {
  readonly #dir: string;
  #all: readonly PendingErasure[];

  private constructor(dir: string, all: readonly PendingErasure[]) {
    this.#dir = dir;
    this.#all = all;
  }

  /**
   * @param stateDir of what the participant remembers.
   * @throws {CorruptError} `STOA_TORN`: what is there is not what was written.
   */
  static async open(stateDir: string): Promise<PendingErasures> {
    const dir = path.join(stateDir, ERASURES);
    const file = path.join(dir, FILE);
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw explainDisk(error, file);
    });
    if (text === undefined) return new PendingErasures(dir, []);
    try {
      return new PendingErasures(dir, fileSchema.parse(JSON.parse(text)).pending);
    } catch (error) {
      throw new CorruptError(
        'STOA_TORN',
        `${file} is damaged; restore it from a copy: without it learners would get no receipt of their erasure`,
        { fields: { file }, cause: error },
      );
    }
  }

  get all(): readonly PendingErasure[] {
    return this.#all;
  }

  /** The erasure of a learner. */
  find(userId: string): PendingErasure | undefined {
    return this.#all.find(({ subject, salt }) => sealSubject(userId, Buffer.from(salt, 'hex')) === subject);
  }

  /** Begins one, or begins again what was begun before: with the same salt. */
  async begin(userId: string, now: Date): Promise<PendingErasure> {
    const known = this.find(userId);
    const salt = known === undefined ? newSalt() : Buffer.from(known.salt, 'hex');
    const subject = sealSubject(userId, salt);
    const begun = { subject, salt: Buffer.from(salt).toString('hex'), begin_time: now.toISOString() };
    await this.#replace(subject, [begun]);
    return begun;
  }

  /** The learner's rows and factors are gone. */
  async end(begun: PendingErasure, now: Date): Promise<PendingErasure> {
    const ended = { ...begun, erase_time: now.toISOString() };
    await this.#replace(begun.subject, [ended]);
    return ended;
  }

  /** The receipt is on disk: the salt is forgotten. */
  settle(subject: string): Promise<void> {
    return this.#replace(subject, []);
  }

  /**
   * Holds the learners of a dataset against what is pending. Cost: a hash for each learner and erasure.
   *
   * @throws {StateError} `STOA_ERASURE`: an erasure was not ended, or somebody who was forgotten is there again.
   */
  requireAbsent(userIds: readonly string[], where: string): void {
    for (const { subject, salt, erase_time: erased } of this.#all) {
      if (erased === undefined) {
        throw new StateError(
          'STOA_ERASURE',
          `an erasure was begun and did not end; repeat "stoa forget" for the learner before taking part again`,
          { fields: { subject } },
        );
      }
      const salted = Buffer.from(salt, 'hex');
      const row = userIds.findIndex((userId) => sealSubject(userId, salted) === subject);
      if (row < 0) continue;
      throw new StateError(
        'STOA_ERASURE',
        `row ${row} of ${where} is a learner who was forgotten at ${erased} and is to get a receipt; remove them from what was imported, then repeat "stoa forget"`,
        { fields: { subject, row, file: where } },
      );
    }
  }

  async #replace(subject: string, by: readonly PendingErasure[]): Promise<void> {
    const pending = [...this.#all.filter((one) => one.subject !== subject), ...by];
    const record = { format: 'stoa-pending-erasures', version: 1, pending };
    const file = path.join(this.#dir, FILE);
    await mkdir(this.#dir, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      throw explainDisk(error, file);
    });
    await writeFileAtomic(file, `${JSON.stringify(record, undefined, 2)}\n`, OWNER_ONLY);
    this.#all = pending;
  }
}
