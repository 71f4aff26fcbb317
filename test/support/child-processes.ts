// Which processes a process has started, and whether they are gone (Linux).

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Process ids of the direct children. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => parentOf(candidate) === pid);
}

/** True while the process runs; a zombie has ended. */
export function isAlive(pid: number): boolean {
  const state = statusLine(pid, 'State');
  return state !== undefined && !state.startsWith('Z');
}

/** Waits until all are gone. @throws when some are still there after the time. */
export async function untilGone(pids: readonly number[], withinMs: number): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (pids.some(isAlive)) {
    if (performance.now() > endMs) throw new Error(`still alive: ${pids.filter(isAlive).join(', ')}`);
    await sleep(50);
  }
}

function parentOf(pid: number): number | undefined {
  const parent = statusLine(pid, 'PPid');
  return parent === undefined ? undefined : Number(parent);
}

function statusLine(pid: number, name: string): string | undefined {
  try {
    return new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}
