import { sharedFloat32 } from '../../common/shared-memory.js';

/** The user's bias, its row's last column, meets a 1 in every item's row. */
export function withMean(users: Float32Array, columns: number, mean: number): Float32Array {
  const out = sharedFloat32(users.length);
  out.set(users);
  for (let at = columns - 1; at < out.length; at += columns) out[at] = out[at]! + mean;
  return out;
}
