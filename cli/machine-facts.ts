import os from 'node:os';
import { programVersion } from './program-version.js';

export interface MachineFacts {
  version: string;
  node: string;
  platform: string;
  cpu: string;
  cores: number;
  memory_bytes: number;
}

export function machineFacts(): MachineFacts {
  return {
    version: programVersion(),
    node: process.versions.node,
    platform: `${os.type()} ${os.arch()}`,
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: os.availableParallelism(),
    memory_bytes: os.totalmem(),
  };
}
