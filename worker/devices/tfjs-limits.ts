// How much one step of a provider may be. Steps are what an abort waits for and what bounds the memory beside the
// tables; larger ones spread the fixed cost of an operation over more rows.

import type { TfjsBackend } from './tfjs-backend.js';

export interface TfjsLimits {
  /** Floats that one step gathers or makes. */
  readonly floats: number;
  /** Floating-point operations of one step: about a tenth of a second. */
  readonly flops: number;
  /**
   * Turn a table into the Gram's basis in f64 on the host rather than in f32 by the provider. Costs m·K² products a
   * phase in JavaScript; the answers of badly conditioned rows come out ten times closer.
   */
  readonly isRotatedOnHost: boolean;
}

/** Measured on two cores of a server: see docs/gpu.md. */
export function tfjsLimits({ provider, info }: TfjsBackend): TfjsLimits {
  switch (provider) {
    case 'node-gpu':
      return { floats: 2 ** 24, flops: 5e10, isRotatedOnHost: false };
    case 'node':
      return { floats: 2 ** 22, flops: 2e9, isRotatedOnHost: false };
    case 'webgpu':
      return info.isSoftware
        ? { floats: 2 ** 20, flops: 5e7, isRotatedOnHost: true }
        : { floats: 2 ** 24, flops: 2e10, isRotatedOnHost: false };
    case 'wasm':
      return { floats: 2 ** 20, flops: 1e8, isRotatedOnHost: true };
    case 'cpu':
      return { floats: 2 ** 20, flops: 3e7, isRotatedOnHost: true };
  }
}
