// How much one step of a provider may be. Steps are what an abort waits for and what bounds the memory beside the
// tables; larger ones spread the fixed cost of an operation over more rows.

import type { TfjsBackend } from './tfjs-backend.js';

export interface TfjsLimits {
  /** Floats that one step gathers or makes. */
  readonly floats: number;
  /** Floating-point operations of one step: about a tenth of a second. */
  readonly flops: number;
  /** Rows of the fixed side are copied by the host, see `hostSource`. */
  readonly isGatheredOnHost: boolean;
}

/** `cpu`, `wasm` and `node` by measurement on two cores; the GPUs' are estimates, none was at hand. */
export function tfjsLimits({ provider, info }: TfjsBackend): TfjsLimits {
  switch (provider) {
    case 'node-gpu':
      return { floats: 2 ** 24, flops: 5e10, isGatheredOnHost: false };
    case 'node':
      return { floats: 2 ** 22, flops: 5e9, isGatheredOnHost: false };
    case 'webgpu':
      return info.isSoftware
        ? { floats: 2 ** 20, flops: 5e7, isGatheredOnHost: false }
        : { floats: 2 ** 24, flops: 2e10, isGatheredOnHost: false };
    case 'wasm':
      return { floats: 2 ** 20, flops: 1e8, isGatheredOnHost: true };
    case 'cpu':
      return { floats: 2 ** 20, flops: 3e7, isGatheredOnHost: true };
  }
}
