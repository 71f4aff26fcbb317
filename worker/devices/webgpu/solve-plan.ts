// What a solver does with a batch on the device: which kernels, over which columns.

import {
  conjugateGradientsConstants,
  GROUP,
  gramConstants,
  solveConstants,
} from '../../../kernels/binding/webgpu/kernel-shapes.js';
import type { Pipelines } from '../../../kernels/binding/webgpu/pipelines.js';
import { tileSizes } from '../../../kernels/binding/webgpu/tile-layout.js';
import type { SolverOptions } from '../../../models/device.js';

/** Columns that are solved for together. */
export interface Subspace {
  readonly column: number;
  readonly columns: number;
  readonly gram: GPUComputePipeline;
  /** Workgroups that share a chunk's tiles. */
  readonly groupsOfChunk: number;
  readonly solve: GPUComputePipeline;
}

export interface SolvePlan {
  readonly kind: 'exact' | 'steps' | 'subspaces';
  /** All columns for `exact`, blocks of them for `subspaces`, none for `steps`. */
  readonly subspaces: readonly Subspace[];
  readonly steps: { readonly pipeline: GPUComputePipeline; readonly count: number } | undefined;
  /** Inner products of entries, for `subspaces`. */
  readonly scores: GPUComputePipeline;
  readonly loss: GPUComputePipeline;
  /** The Gram of the block's rows. */
  readonly blockGram: { readonly pipeline: GPUComputePipeline; readonly groupsOfChunk: number };
  /** Bytes of the largest slot. */
  readonly slotBytes: number;
  /** Floating-point operations for a row of so many entries. */
  operationsOf(entries: number): number;
}

export async function planSolve(
  pipelines: Pipelines,
  factors: number,
  solver: SolverOptions,
): Promise<SolvePlan> {
  const K = factors;
  const width = Math.min(solver.block, K);
  const kind =
    solver.name === 'cg' ? 'steps' : solver.name === 'cholesky' || width >= K ? 'exact' : 'subspaces';
  const subspaces: Promise<Subspace>[] = [];
  if (kind === 'exact') subspaces.push(subspaceOf(pipelines, 0, K, false));
  for (let column = 0; kind === 'subspaces' && column < K; column += width) {
    subspaces.push(subspaceOf(pipelines, column, Math.min(width, K - column), true));
  }
  const { constants, groupsOfChunk } = gramConstants(K);
  const [blockGram, scores, loss, ...made] = await Promise.all([
    pipelines.get('gram', constants),
    pipelines.get('pair-scores', { GROUP }),
    pipelines.get('loss', { GROUP }),
    ...subspaces,
  ]);
  const steps =
    kind === 'steps'
      ? {
          pipeline: await pipelines.get('conjugate-gradients', conjugateGradientsConstants(K)),
          count: solver.cgSteps,
        }
      : undefined;
  return {
    kind,
    subspaces: made,
    steps,
    scores,
    loss,
    blockGram: { pipeline: blockGram, groupsOfChunk },
    slotBytes: 4 * tileSizes(kind === 'subspaces' ? width : K).slotLength,
    operationsOf: (n) => {
      if (kind === 'steps') return (solver.cgSteps + 1) * (4 * n * K + 2 * K * K);
      if (kind === 'exact') return n * K * (K + 1) + K ** 3 / 3 + 4 * K * K;
      return n * K * (width + 5) + K * (2 * K + width ** 2 / 3 + 4 * width);
    },
  };
}

async function subspaceOf(
  pipelines: Pipelines,
  column: number,
  columns: number,
  isSubspace: boolean,
): Promise<Subspace> {
  const { constants, groupsOfChunk } = gramConstants(columns);
  const [gram, solve] = await Promise.all([
    pipelines.get('gram', constants),
    pipelines.get('solve-rows', solveConstants(columns, isSubspace)),
  ]);
  return { column, columns, gram, groupsOfChunk, solve };
}
