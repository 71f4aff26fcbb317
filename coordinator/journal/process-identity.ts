import { readFileSync } from 'node:fs';
import os from 'node:os';

/** What tells a process from every other one, past and present. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** Of the machine's start; empty where the system does not say (not Linux). */
  readonly boot: string;
  /** When the process started, by the system's count; empty where it cannot be known. */
  readonly started: string;
}

export function processIdentity(): ProcessIdentity {
  return {
    pid: process.pid,
    host: os.hostname(),
    boot: readText('/proc/sys/kernel/random/boot_id') ?? '',
    started: startOf(process.pid) ?? '',
  };
}

/**
 * When a process started, by the system's count; undefined when there is no such process, or it has ended and only
 * its parent has not noticed. Where the system does not say (not Linux), the empty text for one that lives.
 */
export function startOf(pid: number): string | undefined {
  const line = readText(`/proc/${pid}/stat`);
  if (line !== undefined) {
    // "pid (name) state …": the name may hold spaces and brackets. Field 22 is the start.
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  }
  try {
    process.kill(pid, 0);
    return '';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? '' : undefined;
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}
