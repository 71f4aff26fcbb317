// The participant's side of an exchange: sums over its own users, item after item. A pure function of the users'
// factors, the interactions and what the server asked for, so that it can be computed twice, late, or from its middle.

import { ShapeError } from '../../common/errors.js';
import type { Csr } from '../../models/csr.js';
import type { IalsObjective } from '../../models/device.js';
import { entryTarget, entryWeight } from '../../models/ials/objective.js';
import { type Exchange, numbersPerItem } from './exchange.js';
import type { ItemChunk } from './item-chunks.js';

export interface ItemSumsInput {
  /** The participant's interactions by items: rows are all items of the catalogue, columns its own users. */
  readonly byItem: Csr;
  /** Its users' factors X: f32 [users, K], row-major. */
  readonly users: Float32Array;
  /** K. */
  readonly factors: number;
  readonly objective: IalsObjective;
  readonly exchange: Exchange;
  /** Items' factors Y (`residual`, `block`) or directions P (`product`): f32 [items, K]; not read by `full`. */
  readonly operand?: Float32Array;
}

/**
 * Sums one chunk of an exchange over the participant's users.
 *
 * @param out written, [items of the chunk × numbersPerItem]: item after item. @default a new array
 * @throws {ShapeError} a length disagrees, or the operand is missing; nothing was computed.
 *
 * An item without interactions here is all zeros. Entries are summed in the order of the users, in f64: same input,
 * same bits. Cost: 2nK² flops for n entries (`full`), 4nK (`residual`, `product`), n(2K + 2d²) for a block of d.
 */
export function itemSums(input: ItemSumsInput, chunk: ItemChunk, out?: Float64Array): Float64Array {
  const width = numbersPerItem(input.exchange, input.factors);
  const sums = out ?? new Float64Array((chunk.itemEnd - chunk.itemStart) * width);
  checkInput(input, chunk, sums, width);
  sums.fill(0);
  const x = new Float64Array(input.factors);
  const operand = new Float64Array(input.factors);
  for (let item = chunk.itemStart, at = 0; item < chunk.itemEnd; item++, at += width) {
    addItem(input, item, sums, at, { x, operand });
  }
  return sums;
}

/** One row in f64, the user's, and the item's row of the operand. */
interface Scratch {
  readonly x: Float64Array;
  readonly operand: Float64Array;
}

function addItem(input: ItemSumsInput, item: number, sums: Float64Array, at: number, scratch: Scratch): void {
  const { byItem, users, factors, objective, exchange } = input;
  const { x, operand } = scratch;
  const [from, to] = [byItem.ptr[item]!, byItem.ptr[item + 1]!];
  if (from === to) return;
  if (exchange.kind !== 'full') load(operand, input.operand!, item * factors);
  for (let e = from; e < to; e++) {
    load(x, users, byItem.idx[e]! * factors);
    const weight = entryWeight(objective, byItem.values?.[e] ?? 1);
    const target = entryTarget(objective, weight);
    switch (exchange.kind) {
      case 'full':
        addOuter(sums, at, x, { start: 0, end: factors, weight, target });
        break;
      case 'residual':
        addScaled(sums, at, x, target - weight * dot(x, operand));
        break;
      case 'product':
        addScaled(sums, at, x, weight * dot(x, operand));
        break;
      case 'block': {
        const { start, end } = exchange;
        addOuter(sums, at, x, { start, end, weight, target: target - weight * dot(x, operand) });
        break;
      }
    }
  }
}

/** Adds w x_π x_πᵀ, packed, and behind it t x_π. */
function addOuter(
  sums: Float64Array,
  at: number,
  x: Float64Array,
  o: { start: number; end: number; weight: number; target: number },
): void {
  const { start, end, weight, target } = o;
  let to = at;
  for (let r = start; r < end; r++) {
    const scaled = weight * x[r]!;
    for (let c = start; c <= r; c++, to++) sums[to] = sums[to]! + scaled * x[c]!;
  }
  for (let k = start; k < end; k++, to++) sums[to] = sums[to]! + target * x[k]!;
}

function addScaled(sums: Float64Array, at: number, x: Float64Array, scale: number): void {
  for (let k = 0; k < x.length; k++) sums[at + k] = sums[at + k]! + scale * x[k]!;
}

function load(row: Float64Array, table: Float32Array, at: number): void {
  for (let k = 0; k < row.length; k++) row[k] = table[at + k]!;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!;
  return sum;
}

function checkInput(input: ItemSumsInput, chunk: ItemChunk, out: Float64Array, width: number): void {
  const { byItem, users, factors, exchange, operand } = input;
  expectLength('the users’ factors', users.length, byItem.cols * factors);
  expectLength('the output', out.length, (chunk.itemEnd - chunk.itemStart) * width);
  if (exchange.kind !== 'full') {
    expectLength('the operand', operand?.length ?? 0, byItem.rows * factors);
  }
  if (!(chunk.itemStart >= 0 && chunk.itemStart <= chunk.itemEnd && chunk.itemEnd <= byItem.rows)) {
    throw new ShapeError(
      'STOA_SHAPE',
      `items ${chunk.itemStart} to ${chunk.itemEnd} are not among the ${byItem.rows} of the catalogue`,
      { fields: { found: chunk.itemEnd, expected: byItem.rows } },
    );
  }
}

function expectLength(what: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new ShapeError('STOA_SHAPE', `${what} has length ${found} where ${expected} was expected`, {
    fields: { found, expected },
  });
}
