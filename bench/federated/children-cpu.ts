import { readFileSync } from 'node:fs';

/** What Linux counts in, on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/**
 * CPU seconds of the processes that this one has started and seen end, with all that they had started and seen end; NaN
 * where there is no /proc.
 */
export function childrenCpuSeconds(): number {
  try {
    const text = readFileSync('/proc/self/stat', 'utf8');
    // The name, in brackets, may have spaces; fields 16 and 17 are user and system time of children.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
  } catch {
    return Number.NaN;
  }
}
