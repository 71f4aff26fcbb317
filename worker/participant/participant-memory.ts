// What a participant must remember from one run to the next, on disk before a message leaves that changed it.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../common/atomic-files.js';
import { CorruptError, PrivacyError } from '../../common/errors.js';
import { RoundMemory } from '../../federation/secure-aggregation/round-memory.js';

const FILE = 'memory.json';

const schema = z.strictObject({
  format: z.literal('stoa-participant-memory'),
  rounds: z.array(z.tuple([z.string(), z.string()])),
  released: z.array(z.tuple([z.string(), z.string()])),
  /** Keys of other participants as they were first seen, hexadecimal, by name. */
  members: z.record(z.string(), z.string()),
});

export class ParticipantMemory {
  readonly rounds: RoundMemory;
  readonly #file: string;
  readonly #members: Map<string, string>;
  #saved = '';

  private constructor(file: string, rounds: RoundMemory, members: Map<string, string>) {
    this.#file = file;
    this.rounds = rounds;
    this.#members = members;
  }

  /** @throws {CorruptError} `STOA_TORN`: what is there is not what was written. */
  static async open(dir: string): Promise<ParticipantMemory> {
    const file = path.join(dir, FILE);
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (text === undefined) return new ParticipantMemory(file, new RoundMemory(), new Map());
    try {
      const { rounds, released, members } = schema.parse(JSON.parse(text));
      return new ParticipantMemory(
        file,
        new RoundMemory({ rounds, released }),
        new Map(Object.entries(members)),
      );
    } catch (error) {
      throw new CorruptError(
        'STOA_TORN',
        `${file} is damaged; restore it from a copy: without it the same sums could be asked for twice`,
        { fields: { file }, cause: error },
      );
    }
  }

  /**
   * Holds the keys of a cohort against those that were seen before, and notes new ones: where no authority vouches for
   * keys, a change is all that can be noticed.
   *
   * @throws {PrivacyError} `STOA_ROUND_REFUSED`: a name has another key than before.
   */
  meet(members: readonly { name: string; identityKey: Uint8Array }[]): void {
    for (const { name, identityKey } of members) {
      const key = Buffer.from(identityKey).toString('hex');
      const known = this.#members.get(name);
      if (known === undefined) this.#members.set(name, key);
      else if (known !== key) {
        throw new PrivacyError(
          'STOA_ROUND_REFUSED',
          `${name} has another key than in an earlier run; ask it whether it changed, then remove its name from ${this.#file}`,
        );
      }
    }
  }

  /** Whether a masked round, or a later one of its session, was entered before. */
  hasEntered(session: Uint8Array, round: number): boolean {
    const key = Buffer.from(session).toString('hex');
    const last = this.rounds.record.rounds.find(([known]) => known === key)?.[1];
    return last !== undefined && BigInt(round) <= BigInt(last);
  }

  async save(): Promise<void> {
    const record = {
      format: 'stoa-participant-memory',
      ...this.rounds.record,
      members: Object.fromEntries(this.#members),
    };
    const text = `${JSON.stringify(record)}\n`;
    if (text === this.#saved) return;
    await writeFileAtomic(this.#file, text);
    this.#saved = text;
  }
}
