// Parameter processes of a run on this machine.

import { formatAddress, type HostPort } from '../common/addresses.js';
import { type LocalProcesses, startLocalProcesses } from './local-processes.js';

export interface LocalParametersOptions {
  coordinator: HostPort;
  count: number;
  /** Lines that one writes to stderr, with its name. */
  onLine: (name: string, line: string) => void;
  isVerbose?: boolean;
}

export function startLocalParameters({
  coordinator,
  count,
  onLine,
  isVerbose,
}: LocalParametersOptions): LocalProcesses {
  const argumentsOf = (name: string) => [
    'parameters',
    '--coordinator',
    formatAddress(coordinator),
    '--name',
    name,
    isVerbose === true ? '--verbose' : '--quiet',
  ];
  return startLocalProcesses({ kind: 'parameters', count, argumentsOf, onLine });
}
