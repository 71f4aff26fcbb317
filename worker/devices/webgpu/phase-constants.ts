// What all blocks of a phase share on the device: the weighted Gram of the fixed side, and for conjugate gradients the
// whitening matrices. They are computed in f64 on the host and kept while blocks of the phase come in.

import { BUFFER_USAGE } from '../../../kernels/binding/webgpu/buffer-usage.js';
import type { GpuDevice } from '../../../kernels/binding/webgpu/gpu-device.js';
import { tilePlace, tileSizes } from '../../../kernels/binding/webgpu/tile-layout.js';
import type { IalsObjective } from '../../../models/device.js';
import { gramScale } from '../../../models/ials/objective.js';
import { type SharedFactor, SolveWorkspace } from '../../../models/ials/solve-workspace.js';

/** Shift of a singular s·G + λ̄I, as a part of its mean diagonal: as in models/ials/conjugate-gradients.ts. */
const SINGULAR_SHIFT = 1e-6;

/** s·G over columns `column` to `column + columns`. */
export interface SubspaceConstants {
  /** The square part, in the layout of a slot. */
  readonly shared: GPUBuffer;
  /** All of its rows, by columns of the whole: [factors, 4·tiles]. */
  readonly cross: GPUBuffer;
}

export interface Whitening {
  /** λ̄: what the matrices were made with. */
  readonly penalty: number;
  /** W, Wᵀ, Uᵀ: [3, size, size], or undefined where s·G + λ̄I is not positive definite. */
  readonly matrices: GPUBuffer | undefined;
}

export class PhaseConstants {
  readonly #gpu: GpuDevice;
  readonly #gram: Float64Array;
  readonly #factors: number;
  readonly #objective: IalsObjective;
  readonly #subspaces = new Map<string, Promise<SubspaceConstants>>();
  readonly #whitenings = new Map<number, Promise<Whitening>>();
  readonly #workspace = new SolveWorkspace();
  #users = 0;
  #isRetired = false;

  constructor(gpu: GpuDevice, gram: Float64Array, factors: number, objective: IalsObjective) {
    this.#gpu = gpu;
    this.#gram = Float64Array.from(gram);
    this.#factors = factors;
    this.#objective = objective;
    this.#workspace.prepare(factors, this.#gram, objective);
  }

  fits(gram: Float64Array, factors: number, objective: IalsObjective): boolean {
    if (factors !== this.#factors || gramScale(objective) !== gramScale(this.#objective)) return false;
    for (let i = 0; i < gram.length; i++) if (gram[i] !== this.#gram[i]) return false;
    return true;
  }

  retain(): void {
    this.#users++;
  }

  release(): void {
    this.#users--;
    if (this.#users === 0 && this.#isRetired) void this.#destroy();
  }

  /** No block will ask for it any more; it is freed when the last one lets go. */
  retire(): void {
    this.#isRetired = true;
    if (this.#users === 0) void this.#destroy();
  }

  subspace(column: number, columns: number): Promise<SubspaceConstants> {
    return remember(this.#subspaces, `${column} ${columns}`, () => this.#makeSubspace(column, columns));
  }

  /** For rows whose λ̄ is `penalty`. Cost where it is not kept: about K³ operations here. */
  whitening(penalty: number): Promise<Whitening> {
    return remember(this.#whitenings, penalty, () => this.#makeWhitening(penalty));
  }

  async #makeSubspace(column: number, columns: number): Promise<SubspaceConstants> {
    const { tiles, slotLength } = tileSizes(columns);
    const scale = gramScale(this.#objective);
    const K = this.#factors;
    const shared = new Float32Array(slotLength);
    const cross = new Float32Array(K * 4 * tiles);
    for (let r = 0; r < 4 * tiles; r++) {
      const at = (column + r) * K;
      for (let c = 0; c <= (r | 3); c++) {
        const isReal = r < columns && c < columns;
        const value = isReal ? scale * this.#gram[at + column + c]! : Number(r === c);
        // The tiles on the diagonal are filled above it too.
        shared[tilePlace(r, c)] = value;
      }
      if (r < columns) for (let k = 0; k < K; k++) cross[k * 4 * tiles + r] = scale * this.#gram[at + k]!;
    }
    return {
      shared: await this.#upload('the Gram of the fixed side', shared),
      cross: await this.#upload('the Gram of the fixed side', cross),
    };
  }

  async #makeWhitening(wanted: number): Promise<Whitening> {
    const penalty = this.#positivePenalty(wanted);
    const factor = this.#workspace.sharedFactor(penalty);
    if (!factor.isPositive) return { penalty, matrices: undefined };
    const matrices = await this.#upload('whitening matrices', whiteningOf(factor, this.#workspace.stride));
    return { penalty, matrices };
  }

  #positivePenalty(penalty: number): number {
    if (this.#workspace.sharedFactor(penalty).isPositive) return penalty;
    const mean = this.#workspace.meanDiagonal();
    return penalty + (mean > 0 ? SINGULAR_SHIFT * mean : 1);
  }

  async #upload(label: string, data: Float32Array): Promise<GPUBuffer> {
    const buffer = await this.#gpu.createBuffer({
      label,
      bytes: data.byteLength,
      usage: BUFFER_USAGE.storage,
      isMapped: true,
    });
    new Float32Array(buffer.getMappedRange()).set(data);
    buffer.unmap();
    return buffer;
  }

  async #destroy(): Promise<void> {
    const subspaces = await Promise.allSettled(this.#subspaces.values());
    const whitenings = await Promise.allSettled(this.#whitenings.values());
    for (const made of subspaces) {
      if (made.status !== 'fulfilled') continue;
      made.value.shared.destroy();
      made.value.cross.destroy();
    }
    for (const made of whitenings) if (made.status === 'fulfilled') made.value.matrices?.destroy();
  }
}

/** W = U⁻¹, Wᵀ and Uᵀ one after the other, f32 [3, size, size], from U in f64. */
function whiteningOf({ u, inverse }: SharedFactor, size: number): Float32Array {
  const w = new Float64Array(size * size);
  const out = new Float32Array(3 * size * size);
  for (let j = 0; j < size; j++) {
    w[j * size + j] = inverse[j]!;
    for (let i = j - 1; i >= 0; i--) {
      let sum = 0;
      for (let k = i + 1; k <= j; k++) sum += u[i * size + k]! * w[k * size + j]!;
      w[i * size + j] = -sum * inverse[i]!;
    }
    for (let i = 0; i <= j; i++) {
      out[i * size + j] = w[i * size + j]!;
      out[(size + j) * size + i] = w[i * size + j]!;
      out[(2 * size + j) * size + i] = u[i * size + j]!;
    }
  }
  return out;
}

function remember<K, V>(kept: Map<K, Promise<V>>, key: K, make: () => Promise<V>): Promise<V> {
  let made = kept.get(key);
  if (made === undefined) {
    made = make();
    kept.set(key, made);
    made.catch(() => kept.delete(key));
  }
  return made;
}
