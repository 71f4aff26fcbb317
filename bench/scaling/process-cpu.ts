import { readFileSync } from 'node:fs';

/** What Linux counts in, on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU seconds that a process has used, all its threads together; NaN where there is no /proc, or no such process. */
export function processCpuSeconds(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in brackets, may have spaces; fields 14 and 15 are user and system time.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
}
