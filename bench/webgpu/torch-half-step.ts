// The same half-step in PyTorch, in a process of its own; said to be missing where there is no PyTorch.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { packageRoot } from '../../common/package-root.js';
import type { Interactions } from './skewed-interactions.js';

export type TorchResult =
  | { readonly version: string; readonly device: string; readonly factors: number; readonly seconds: number }
  | { readonly reason: string };

export function torchHalfStep({ byUser }: Interactions, factors: number): TorchResult {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'stoa-bench-'));
  try {
    writeFileSync(path.join(folder, 'ptr.i32'), byUser.ptr);
    writeFileSync(path.join(folder, 'idx.i32'), byUser.idx);
    const script = path.join(packageRoot, 'bench/webgpu/half_step.py');
    const args = [script, folder, String(byUser.cols), String(factors)];
    const { status, stdout, stderr, error } = spawnSync('python3', args, { encoding: 'utf8' });
    if (status === 0)
      return { factors, ...(JSON.parse(stdout) as { version: string; device: string; seconds: number }) };
    return { reason: error?.message ?? stderr.trim().split('\n').at(-1) ?? 'no reason given' };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
