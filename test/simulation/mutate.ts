// Import it before the simulation (`node --import`): the file that STOA_MUTATION names is loaded with its mutation.

import { register } from 'node:module';
import { ROUND_MUTATIONS } from '../federation/rounds/round-mutations.js';
import { MUTATIONS } from './mutations.js';

const name = process.env['STOA_MUTATION'];
const mutation = [...MUTATIONS, ...ROUND_MUTATIONS].find((one) => one.name === name);
if (mutation === undefined) throw new Error(`there is no mutation "${name}"`);
register('./mutation-hooks.js', import.meta.url, { data: mutation });
