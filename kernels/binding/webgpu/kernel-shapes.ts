// Threads and stages of each kernel. They follow from the number of columns alone, never from the device, so that a
// device gives one answer; all stay within what the specification grants: 256 threads, 16 KiB of workgroup memory.

import type { KernelConstants } from './pipelines.js';
import { tileSizes } from './tile-layout.js';

/** Threads of kernels that have no reason for another number: a multiple of every vendor's width. */
export const GROUP = 64;

const GROUP_MAX = 256;
/** Entries that are summed before they join a longer sum, at most. */
const STAGE_MAX = 32;
/** Workgroup memory for gathered rows. */
const PANEL_BYTES = 8192;

export function gramConstants(columns: number): { constants: KernelConstants; groupsOfChunk: number } {
  const { tiles, tileCount } = tileSizes(columns);
  const groupsOfChunk = Math.ceil(tileCount / GROUP_MAX);
  const threads = Math.max(GROUP, Math.ceil(tileCount / groupsOfChunk / 32) * 32);
  const stage = Math.min(STAGE_MAX, Math.floor(PANEL_BYTES / (16 * tiles)));
  return { constants: { TILES: tiles, STAGE: stage, GROUP: threads }, groupsOfChunk };
}

export function solveConstants(columns: number, isSubspace: boolean): KernelConstants {
  const { tiles } = tileSizes(columns);
  return { TILES: tiles, GROUP: tiles <= 32 ? 32 : 64, IS_SUBSPACE: isSubspace ? 1 : 0 };
}

export function conjugateGradientsConstants(factors: number): KernelConstants {
  const size = paddedFactors(factors);
  const threads = size <= 64 ? 64 : size <= 128 ? 128 : 256;
  // A power of two, so that the threads share out evenly.
  const stage = Math.min(STAGE_MAX, 2 ** Math.floor(Math.log2(PANEL_BYTES / (4 * size))));
  return { SIZE: size, STAGE: stage, GROUP: threads };
}

/** Length of a row on the device: whole vectors of 4. */
export function paddedFactors(factors: number): number {
  return Math.ceil(factors / 4) * 4;
}
