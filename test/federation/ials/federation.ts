// A federation without network or rounds: participants with parts of the data, and a server that sees their sums only.

import { createRandom } from '../../../common/random.js';
import { type Census, censusOf, censusSums } from '../../../federation/ials/census.js';
import { numbersPerItem } from '../../../federation/ials/exchange.js';
import { itemChunks } from '../../../federation/ials/item-chunks.js';
import { ItemSweep, type SweepOptions } from '../../../federation/ials/item-sweep.js';
import { solveUsers } from '../../../federation/ials/solve-users.js';
import { sumItems } from '../../../federation/ials/sum-items.js';
import { type Csr, csrSlice } from '../../../models/csr.js';
import type { ComputeDevice, FactorTable, SolverOptions } from '../../../models/device.js';
import { addPackedGram, packedGramLength } from '../../../models/gram.js';
import { initFactors } from '../../../models/ials/init-factors.js';
import { transpose } from '../../support/ials-problems.js';

export interface TestParticipant {
  readonly byUser: Csr;
  readonly byItem: Csr;
  readonly users: Float32Array;
  uploadedNumbers: number;
}

/** Splits the users into consecutive participants of these sizes. */
export function participantsOf(byUser: Csr, sizes: readonly number[], factors: number): TestParticipant[] {
  let start = 0;
  return sizes.map((size) => {
    const own = csrSlice(byUser, start, start + size);
    start += size;
    const byItem = transpose(own);
    return { byUser: own, byItem, users: new Float32Array(size * factors), uploadedNumbers: 0 };
  });
}

export function takeCensus(participants: readonly TestParticipant[]): Census {
  const sum = censusSums(participants[0]!.byItem);
  for (const { byItem } of participants.slice(1)) addPackedGram(sum, censusSums(byItem));
  return censusOf(sum);
}

export function initialItems(items: number, factors: number, seed: number): Float32Array {
  const initial = new Float32Array(items * factors);
  initFactors(initial, { seed, side: 'items', rowStart: 0, rowEnd: items, factors, stdDev: 0.1 });
  return initial;
}

export interface FederationSettings extends SweepOptions {
  readonly userSolver?: SolverOptions;
  /** Numbers of a chunk. */
  readonly numbersMax?: number;
  /** The sweep ends before this exchange. */
  readonly cutBefore?: number;
  /** The server is restarted after each exchange. */
  readonly isRestarted?: boolean;
}

const CHOLESKY: SolverOptions = { name: 'cholesky', cgSteps: 1, block: 1 };

/** One sweep; answers the items' new factors. */
export async function federatedSweep(
  device: ComputeDevice,
  participants: readonly TestParticipant[],
  items: Float32Array,
  settings: FederationSettings,
): Promise<Float32Array> {
  const { factors, objective, userSolver = CHOLESKY } = settings;
  let sweep = new ItemSweep(settings, items);
  const gram = new Float64Array(packedGramLength(factors));
  /** Users' factors where the device sums. */
  const tables = new Map<TestParticipant, FactorTable>();
  for (const one of participants) {
    const own = await solveUsers(
      device,
      { byUser: one.byUser, items, factors, objective, solver: userSolver },
      one.users,
    );
    addPackedGram(gram, own);
    one.uploadedNumbers += own.length;
    if (device.sumRows === undefined) continue;
    const table = await device.createTable(one.byUser.rows, factors);
    await device.write(table, 0, one.users);
    tables.set(one, table);
  }
  sweep.receiveGram(gram);
  while (sweep.exchange !== undefined && sweep.done !== settings.cutBefore) {
    const { exchange, operand } = sweep;
    const perItem = numbersPerItem(exchange, factors);
    for (const chunk of itemChunks({ items: settings.items, perItem, numbersMax: settings.numbersMax })) {
      const sum = new Float64Array((chunk.itemEnd - chunk.itemStart) * perItem);
      for (const one of participants) {
        const fixed = tables.get(one);
        const own = await sumItems({ ...one, device, fixed, factors, objective, exchange, operand }, chunk);
        addPackedGram(sum, own);
        one.uploadedNumbers += own.length;
      }
      sweep.receive(chunk, sum);
    }
    sweep.advance();
    if (settings.isRestarted) sweep = new ItemSweep(settings, items, structuredClone(sweep.state));
  }
  sweep.cut();
  for (const table of tables.values()) table.dispose();
  return sweep.factors;
}

export async function trainFederated(
  device: ComputeDevice,
  participants: readonly TestParticipant[],
  settings: FederationSettings & { readonly sweeps: number; readonly seed: number },
): Promise<Float32Array> {
  const census = takeCensus(participants);
  let items = initialItems(settings.items, settings.factors, settings.seed);
  for (let sweep = 0; sweep < settings.sweeps; sweep++) {
    items = await federatedSweep(device, participants, items, { census, ...settings });
  }
  return items;
}

/**
 * Skewed interactions: every user a few items, low ones the most; the item before the last is known to the first user
 * alone, and the last one to nobody.
 */
export function skewedInteractions(o: {
  users: number;
  items: number;
  seed: number;
  valueMax?: number;
}): Csr {
  const random = createRandom(o.seed, 11);
  const rows = Array.from({ length: o.users }, (_, user) => {
    const taken = new Set<number>(user === 0 ? [o.items - 2] : []);
    for (let n = 3 + random.int(12); n > 0; n--) {
      taken.add(Math.floor((o.items - 2) * random.next() ** 2));
    }
    // One learner who only looked around.
    return user === 1 ? [] : [...taken].sort((a, b) => a - b);
  });
  const ptr = new Int32Array(rows.length + 1);
  for (const [row, columns] of rows.entries()) ptr[row + 1] = ptr[row]! + columns.length;
  const idx = Int32Array.from(rows.flat());
  const { valueMax } = o;
  const values =
    valueMax === undefined ? undefined : Float32Array.from(idx, () => 0.1 + valueMax * random.next() ** 2);
  return { rows: o.users, cols: o.items, ptr, idx, values };
}
