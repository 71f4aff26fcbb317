import type { Command } from 'commander';
import { wholeNumber } from './verb.js';

export interface ParametersFlag {
  parameters?: number;
}

/** Placement cuts a side into so many parts at most. */
const PARAMETERS_MAX = 64;

export function addParametersFlag(command: Command, description: string): void {
  command.option('--parameters <n>', description, wholeNumber('--parameters', 0, PARAMETERS_MAX));
}

/** For verbs that start processes of their own. */
export const LOCAL_PARAMETERS = 'processes that keep the tables (default: 0, the coordinator keeps them)';
