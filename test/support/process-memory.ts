import { readFile } from 'node:fs/promises';

/** Resident set size of a process, bytes. */
export async function processMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}
