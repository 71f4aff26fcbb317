// Bugs to plant in the rounds: see test/simulation/mutations.ts.

import type { Mutation } from '../../simulation/mutations.js';

const one = (name: string, file: string, from: string, to: string): Mutation => ({
  name,
  folder: 'federation',
  file,
  edits: [{ from, to }],
});

export const ROUND_MUTATIONS: readonly Mutation[] = [
  one(
    'an answer that came before counts again',
    'rounds/round',
    "if (this.#answered[at].has(participantId))\n            return 'duplicate';",
    '',
  ),
  one(
    'a late answer counts for the round in progress',
    'rounds/rounds',
    "if (this.#round === undefined || round !== this.#round.key.round)\n            return 'late';",
    "if (this.#round === undefined)\n            return 'late';",
  ),
  one(
    'whoever answers takes part',
    'rounds/round',
    "if (!this.#isAsked(participantId))\n            return 'foreign';",
    '',
  ),
  one(
    'a cohort may be smaller than its minimum',
    'rounds/round',
    'if (answers < least) {',
    'if (answers < 1) {',
  ),
  one(
    'a round begins with fewer than the minimum',
    'rounds/rounds',
    'if (present < cohortMin) {',
    'if (present < 1) {',
  ),
  one('more are asked than may be', 'rounds/members', 'Math.min(free.length, o.max)', 'free.length'),
  one(
    'fewer than two thirds reveal',
    'rounds/round',
    'return isSupporting(step) ? threshold : Math.max(cohortMin, threshold);',
    'return isSupporting(step) ? 1 : Math.max(cohortMin, threshold);',
  ),
  one(
    'a sweep goes on with those who are left',
    'rounds/round',
    'if (this.key.exchange > 0 && !isSupporting(step))\n            return this.cohort.length;',
    '',
  ),
  one(
    'a sweep that was cut goes on',
    'rounds/rounds',
    'const isCut = key.exchange > 0;',
    'const isCut = false;',
  ),
  one('steps have no deadline', 'rounds/round', 'nowMs < this.deadlineMs && ', ''),
  one('the absent are waited for', 'rounds/round', ' && isPresent(asked[at])', ''),
  one('silence makes nobody absent', 'rounds/members', 'isPresent && lastHeardMs < limitMs', 'false'),
  one(
    'a pause of the coordinator makes participants late',
    'rounds/rounds',
    'this.#round.deadlineMs += gapMs;',
    'this.#round.deadlineMs += 0;',
  ),
  one(
    'who misses rounds is asked again at once',
    'rounds/members',
    'Math.min(BENCH_MAX, 2 ** (member.misses - 1) - 1)',
    '0',
  ),
  one(
    'who misses rounds holds the federation below its minimum',
    'rounds/members',
    '[...free, ...benched]',
    '[...free]',
  ),
  one(
    'the same participants are asked over and over',
    'rounds/members',
    'a.selectedAt - b.selectedAt ||',
    '',
  ),
  one(
    'a number of a round is used twice after a restart',
    'rounds/rounds',
    'this.#next = { ...entry.key, round: entry.key.round + 1 };',
    'this.#next = { ...entry.key };',
  ),
  one('a restart forgets what was answered', 'rounds/rounds', 'round.answer(entry.participantId);', ''),
  one(
    'a restart forgets a complete round',
    'rounds/rounds',
    "else if (this.#state === 'committing')\n            this.#announceComplete();",
    '',
  ),
  one('a restart finds everybody absent', 'rounds/rounds', 'this.#members.hear(id, nowMs);', ''),
  one(
    'a restart forgets who missed rounds',
    'rounds/rounds',
    'new Members(entry.histories)',
    'new Members()',
  ),
  {
    name: 'an answer is acknowledged before it is written down',
    folder: 'federation',
    file: 'rounds/rounds',
    edits: [
      {
        from: "this.#record({ type: 'answered', round, step, participantId });\n        }\n        this.#effects.push({ type: 'settled', deliveryId, participantId, disposition });",
        to: "}\n        this.#effects.push({ type: 'settled', deliveryId, participantId, disposition });\n        if (disposition === 'accepted')\n            this.#record({ type: 'answered', round, step, participantId });",
      },
    ],
  },
  one(
    'the next round opens before the sum is written',
    'rounds/rounds',
    "this.#state = 'committing';\n        this.#announceComplete();\n    }\n    #announce",
    'this.#announceComplete();\n        this.#advance();\n    }\n    #announce',
  ),
  one(
    'those who helped to reveal are summed',
    'rounds/rounds',
    'const { key, contributors, helpers } = this.#round;',
    'const { key, helpers } = this.#round;\n        const contributors = helpers;',
  ),
  one(
    'uploads are summed in the order of arrival',
    'rounds/round',
    "return [...this.#answered[this.#steps.indexOf('upload')]].sort();",
    "return [...this.#answered[this.#steps.indexOf('upload')]];",
  ),
  one(
    'a run ends one sweep early',
    'rounds/rounds',
    'this.#next.sweep === this.plan.sweeps',
    'this.#next.sweep >= this.plan.sweeps - 1',
  ),
];
