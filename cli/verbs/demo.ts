import { toCommand } from '../verb.js';

export const command = toCommand<object>({
  name: 'demo',
  summary: 'The whole story on one machine, in under a minute',
  description:
    'Makes synthetic learners, imports and splits their enrolments, starts a coordinator and two workers, trains, ' +
    'compares with baselines, promotes the model, asks it for recommendations, and ends everything. Works in ' +
    '.stoa-demo in the current folder, which is made afresh.',
  examples: ['stoa demo'],
  run: async ({ output }) => {
    const { tellStory } = await import('../demo/story.js');
    const outcome = await tellStory(output);
    if (output.modes.json) output.answer(outcome, () => '');
  },
});
