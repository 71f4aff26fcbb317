// history.safetensors: the items that each user took in training, as CSR. Serving leaves them out of its answers.

import type { Csr } from '../../models/csr.js';
import { disagrees, namedTensor } from './named-tensor.js';
import { type FileFacts, readSafetensors, type Tensor, writeSafetensors } from './safetensors.js';

/** Writes ptr [users + 1], idx [interactions] and, where there are some, values [interactions]. */
export function writeHistory(file: string, { ptr, idx, values }: Csr): Promise<FileFacts> {
  const tensors: Record<string, Tensor> = {
    ptr: { shape: [ptr.length], data: ptr },
    idx: { shape: [idx.length], data: idx },
  };
  if (values !== undefined) tensors['values'] = { shape: [values.length], data: values };
  return writeSafetensors(file, tensors);
}

/** @throws {CorruptError} not the file that was written, or not the counts of the model. */
export async function readHistory(
  file: string,
  facts: FileFacts,
  counts: { users: number; items: number; interactions: number },
): Promise<Csr> {
  const tensors = await readSafetensors(file, facts);
  const ptr = namedTensor(tensors, 'ptr', Int32Array, [counts.users + 1], file);
  const idx = namedTensor(tensors, 'idx', Int32Array, [counts.interactions], file);
  const values = tensors.has('values')
    ? namedTensor(tensors, 'values', Float32Array, [counts.interactions], file)
    : undefined;
  const csr: Csr = { rows: counts.users, cols: counts.items, ptr, idx, values };
  if (!isValidCsr(csr)) throw disagrees(file, 'the items of a user are not in ascending order');
  return csr;
}

/** How many users took each item, [items]. */
export function countItems({ cols, idx }: Csr): Int32Array {
  const counts = new Int32Array(cols);
  for (let at = 0; at < idx.length; at++) counts[idx[at]!]!++;
  return counts;
}

function isValidCsr({ rows, cols, ptr, idx }: Csr): boolean {
  if (ptr[0] !== 0 || ptr[rows] !== idx.length) return false;
  for (let row = 0; row < rows; row++) {
    if (ptr[row + 1]! < ptr[row]! || ptr[row + 1]! > idx.length) return false;
    let previous = -1;
    for (let at = ptr[row]!; at < ptr[row + 1]!; at++) {
      if (idx[at]! <= previous) return false;
      previous = idx[at]!;
    }
    if (previous >= cols) return false;
  }
  return true;
}
