import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';

/** The machine in one line: what figures beside it were measured on. */
export function machineLine(): string {
  const cpu = os.cpus()[0];
  const memory = Math.round(os.totalmem() / 2 ** 30);
  const parts = [
    `${cpu?.model.trim() ?? 'unknown processor'}${cpuModel()}`,
    `${os.availableParallelism()} cores`,
    instructionSets(),
    `${memory} GiB`,
    `${os.type()} ${os.arch()}`,
    `Node ${process.versions.node}`,
    revision(),
  ];
  return parts.filter((part) => part !== '').join(', ');
}

/** Virtual machines often hide the name of their processor, but not its family and model. */
function cpuModel(): string {
  const family = /^cpu family\s*:\s*(\d+)/m.exec(cpuInfo())?.[1];
  const model = /^model\s*:\s*(\d+)/m.exec(cpuInfo())?.[1];
  return family === undefined ? '' : ` (family ${family} model ${model})`;
}

function instructionSets(): string {
  const flags = new Set(/^flags\s*:\s*(.*)$/m.exec(cpuInfo())?.[1]?.split(' ') ?? []);
  const named = { avx512f: 'AVX-512', avx2: 'AVX2', fma: 'FMA', f16c: 'F16C' };
  return Object.entries(named)
    .filter(([flag]) => flags.has(flag))
    .map(([, name]) => name)
    .join(' ');
}

function cpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}

function revision(): string {
  try {
    return `revision ${execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()}`;
  } catch {
    return '';
  }
}
