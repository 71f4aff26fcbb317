import { toGroup } from '../verb.js';
import { command as describeCommand } from './data-describe.js';
import { command as importCommand } from './data-import.js';
import { command as splitCommand } from './data-split.js';
import { command as synthesizeCommand } from './data-synthesize.js';

export const command = toGroup('data', 'Import, make, describe and split datasets', [
  importCommand,
  synthesizeCommand,
  describeCommand,
  splitCommand,
]);
