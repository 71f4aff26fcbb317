// A checkpoint: both tables at the end of a phase with their Grams, in a folder that is whole or not there.

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { publishFolder } from '../../common/atomic-files.js';
import { sha256 } from '../../common/checksums.js';
import { CorruptError } from '../../common/errors.js';
import { bytesOf } from '../../common/row-chunks.js';
import type { Side } from '../../models/csr.js';
import { packedGramLength } from '../../models/gram.js';
import type { ParameterStore, TableSums } from '../parameters/parameter-store.js';
import { readSafetensors, writeSafetensors } from '../registry/safetensors.js';

const FACTORS_FILE = 'factors.safetensors';
/** Packed Grams of users and items, little-endian f64: the bits of the devices that computed them. */
const GRAMS_FILE = 'grams.f64';

const NO_GRAM = new Float64Array(0);

const fileSchema = z.strictObject({ bytes: z.number(), sha256: z.string() });
const headerSchema = z.strictObject({
  format: z.literal('stoa-checkpoint'),
  version: z.literal(1),
  run_id: z.string(),
  /** Of the data and the blocks: a checkpoint goes with one plan. */
  plan: z.string(),
  /** First phase that is still to be done. */
  next_phase: z.number(),
  clocks: z.strictObject({ users: z.number(), items: z.number() }),
  penalties: z.strictObject({ users: z.number().optional(), items: z.number().optional() }),
  files: z.strictObject({ factors: fileSchema, grams: fileSchema }),
});
type Header = z.infer<typeof headerSchema>;

/** A store's tables at one moment. They are not copied: see `captured`. */
export interface Snapshot {
  runId: string;
  plan: string;
  nextPhase: number;
  factors: number;
  clocks: Record<Side, number>;
  tables: Record<Side, Float32Array>;
  /** None of models that have none. */
  sums: Partial<Record<Side, TableSums>>;
}

export function snapshotOf(
  store: ParameterStore,
  run: { runId: string; plan: string },
  nextPhase: number,
): Snapshot {
  const { tables } = store;
  return {
    ...run,
    nextPhase,
    factors: tables.factors,
    clocks: { users: tables.clock('users'), items: tables.clock('items') },
    tables: { users: tables.current('users'), items: tables.current('items') },
    sums: { users: store.sums('users'), items: store.sums('items') },
  };
}

/** Puts what `snapshotOf` told into a fresh store of the same shape. */
export function restoreStore(store: ParameterStore, { clocks, tables, sums }: Snapshot): void {
  for (const side of ['users', 'items'] as const) {
    store.tables.setClock(side, clocks[side]);
    store.tables.current(side).set(tables[side]);
    store.setSums(side, sums[side]!);
  }
}

/**
 * Writes a checkpoint folder.
 *
 * @param captured called when the tables have been read and may change again; the promise resolves once the folder
 *   is durable.
 * @throws {SystemError} `STOA_DISK_FULL`, `STOA_ACCESS`; nothing is left behind.
 */
export async function writeCheckpoint(dir: string, snapshot: Snapshot, captured: () => void): Promise<void> {
  const { factors, tables, sums, clocks } = snapshot;
  await publishFolder(dir, async (folder) => {
    const rows = (side: Side) => ({ shape: [tables[side].length / factors, factors], data: tables[side] });
    const factorsFacts = await writeSafetensors(path.join(folder, FACTORS_FILE), {
      user_factors: rows('users'),
      item_factors: rows('items'),
    });
    captured();
    const grams = Buffer.concat([sums.users, sums.items].map((side) => bytesOf(side?.gram ?? NO_GRAM)));
    await writeFile(path.join(folder, GRAMS_FILE), grams);
    const header: Header = {
      format: 'stoa-checkpoint',
      version: 1,
      run_id: snapshot.runId,
      plan: snapshot.plan,
      next_phase: snapshot.nextPhase,
      clocks,
      penalties: { users: sums.users?.penalty, items: sums.items?.penalty },
      files: { factors: factorsFacts, grams: { bytes: grams.length, sha256: sha256(grams) } },
    };
    const text = JSON.stringify(header);
    await writeFile(path.join(folder, 'checkpoint.json'), `${text}\n${sha256(text)}\n`);
  });
}

/** @throws {CorruptError} `STOA_CHECKSUM`, `STOA_TORN`: names the file. */
export async function readCheckpoint(dir: string): Promise<Snapshot> {
  const header = await readHeader(path.join(dir, 'checkpoint.json'));
  const tensors = await readSafetensors(path.join(dir, FACTORS_FILE), header.files.factors);
  const users = tensors.get('user_factors');
  const items = tensors.get('item_factors');
  if (!(users?.data instanceof Float32Array) || !(items?.data instanceof Float32Array)) {
    throw damaged(path.join(dir, FACTORS_FILE));
  }
  const factors = users.shape[1]!;
  const grams = await readFile(path.join(dir, GRAMS_FILE));
  const length = packedGramLength(factors);
  const isSound = grams.length === 16 * length || grams.length === 0;
  if (!isSound || sha256(grams) !== header.files.grams.sha256) throw damaged(path.join(dir, GRAMS_FILE));
  const gram = (n: number) =>
    new Float64Array(grams.buffer.slice(grams.byteOffset + n * 8 * length), 0, length);
  const { penalties } = header;
  return {
    runId: header.run_id,
    plan: header.plan,
    nextPhase: header.next_phase,
    factors,
    clocks: header.clocks,
    tables: { users: users.data, items: items.data },
    sums:
      grams.length === 0
        ? {}
        : {
            users: { gram: gram(0), penalty: penalties.users },
            items: { gram: gram(1), penalty: penalties.items },
          },
  };
}

async function readHeader(file: string): Promise<Header> {
  const [text, checksum] = (await readFile(file, 'utf8').catch(() => '')).split('\n');
  if (text === undefined || sha256(text) !== checksum) throw damaged(file);
  const header = headerSchema.safeParse(JSON.parse(text));
  if (!header.success) throw damaged(file);
  return header.data;
}

function damaged(file: string): CorruptError {
  return new CorruptError('STOA_CHECKSUM', `${file} is not what was written; the checkpoint cannot be used`, {
    fields: { file },
  });
}
