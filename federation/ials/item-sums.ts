// The participant's side of an exchange: sums over its own users, item after item. A pure function of the users'
// factors, the interactions and what the server asked for, so that it can be computed twice, late, or from its middle.

import { ShapeError } from '../../common/errors.js';
import type { Csr } from '../../models/csr.js';
import { addGram } from '../../models/dense/add-gram.js';
import { paddedLength } from '../../models/dense/padding.js';
import type { IalsObjective } from '../../models/device.js';
import { packedGramLength } from '../../models/gram.js';
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
  const scratch = scratchOf(input);
  for (let item = chunk.itemStart, at = 0; item < chunk.itemEnd; item++, at += width) {
    if (input.byItem.ptr[item] === input.byItem.ptr[item + 1]) continue;
    if (scratch.matrices === undefined) addVectors(input, item, sums, at);
    else addSystem(input, item, sums.subarray(at, at + width), scratch.matrices);
  }
  return sums;
}

/** Users gathered at a time: a panel of K = 128 takes 64 KiB, which the second cache holds. */
const PANEL_USERS = 64;

/** For exchanges of matrices: the users of an item, √w x_π in f64, and their Gram. */
interface Matrices {
  /** Dimensions π: `start` (in) to `end` (out). */
  readonly start: number;
  readonly end: number;
  /** Row length of both, a multiple of the kernels' tiles; columns past the block are zeros. */
  readonly stride: number;
  /** [PANEL_USERS, stride]. */
  readonly panel: Float64Array;
  /** [stride, stride], the upper triangle. */
  readonly gram: Float64Array;
}

function scratchOf({ exchange, factors }: ItemSumsInput): { matrices?: Matrices } {
  if (exchange.kind === 'residual' || exchange.kind === 'product') return {};
  const { start, end } = exchange.kind === 'full' ? { start: 0, end: factors } : exchange;
  const stride = paddedLength(end - start);
  const panel = new Float64Array(PANEL_USERS * stride);
  return { matrices: { start, end, stride, panel, gram: new Float64Array(stride * stride) } };
}

/** Σ w x_π x_πᵀ, packed, and behind it Σ t x_π, with t the interaction's target or what is left of it. */
function addSystem(input: ItemSumsInput, item: number, sums: Float64Array, m: Matrices): void {
  const { byItem, users, factors, objective, exchange } = input;
  const { start, end, stride, panel, gram } = m;
  const side = sums.subarray(packedGramLength(end - start));
  gram.fill(0);
  const last = byItem.ptr[item + 1]!;
  for (let from = byItem.ptr[item]!; from < last; from += PANEL_USERS) {
    const count = Math.min(PANEL_USERS, last - from);
    for (let n = 0; n < count; n++) {
      const row = byItem.idx[from + n]! * factors;
      const weight = entryWeight(objective, byItem.values?.[from + n] ?? 1);
      const whole = entryTarget(objective, weight);
      const target =
        exchange.kind === 'full'
          ? whole
          : whole - weight * dot(users, row, input.operand!, item * factors, factors);
      const root = Math.sqrt(weight);
      for (let k = start, to = n * stride; k < end; k++, to++) panel[to] = root * users[row + k]!;
      for (let k = start; k < end; k++) side[k - start] = side[k - start]! + target * users[row + k]!;
    }
    addGram(gram, panel, count, stride);
  }
  for (let r = 0, to = 0; r < end - start; r++) {
    for (let c = 0; c <= r; c++, to++) sums[to] = gram[c * stride + r]!;
  }
}

/** Σ s x with s = c − w x·y (`residual`) or w x·p (`product`). */
function addVectors(input: ItemSumsInput, item: number, sums: Float64Array, at: number): void {
  const { byItem, users, factors, objective, exchange, operand } = input;
  const isResidual = exchange.kind === 'residual';
  const last = byItem.ptr[item + 1]!;
  for (let e = byItem.ptr[item]!; e < last; e++) {
    const row = byItem.idx[e]! * factors;
    const weight = entryWeight(objective, byItem.values?.[e] ?? 1);
    const product = weight * dot(users, row, operand!, item * factors, factors);
    const scale = isResidual ? entryTarget(objective, weight) - product : product;
    for (let k = 0; k < factors; k++) sums[at + k] = sums[at + k]! + scale * users[row + k]!;
  }
}

/** Of `length` numbers of `a` from `at` on with those of `b` from `from` on, in f64. Four sums hide the adder's latency. */
function dot(a: Float32Array, at: number, b: Float32Array, from: number, length: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  const whole = length & ~3;
  for (let k = 0; k < whole; k += 4) {
    s0 += a[at + k]! * b[from + k]!;
    s1 += a[at + k + 1]! * b[from + k + 1]!;
    s2 += a[at + k + 2]! * b[from + k + 2]!;
    s3 += a[at + k + 3]! * b[from + k + 3]!;
  }
  for (let k = whole; k < length; k++) s0 += a[at + k]! * b[from + k]!;
  return s0 + s1 + (s2 + s3);
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
