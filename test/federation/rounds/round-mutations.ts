// Bugs to plant in the rounds: see test/simulation/mutations.ts.

import type { Mutation } from '../../simulation/mutations.js';

const one = (name: string, file: string, from: string, to: string): Mutation => ({
  name,
  folder: 'federation/rounds',
  file,
  edits: [{ from, to }],
});

export const ROUND_MUTATIONS: readonly Mutation[] = [
  one(
    'an answer that came before counts again',
    'round',
    "if (this.#answered[at].has(participantId))\n            return 'duplicate';",
    '',
  ),
];
