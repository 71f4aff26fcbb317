import { count, minute } from '../quantities.js';
import { collect, required, toCommand } from '../verb.js';

interface Options {
  user: string;
  identity: string;
  data: string[];
  model?: string[];
}

export const command = toCommand<Options>({
  name: 'forget',
  summary: 'Remove a learner from a participant, and owe them a receipt',
  description:
    "Removes the learner's id, rows and factors from the datasets and from the models of the identity folder; the " +
    'participant must not run meanwhile. The next run is without the learner: at its end "stoa participant" signs a ' +
    'receipt in IDENTITY/erasures/receipts. Cut off, it is to be repeated: until then the participant takes no part. ' +
    'The salt that is printed is for the learner alone, to show that the receipt is theirs.',
  examples: [
    'stoa forget --user learner-17 --data datasets/ours --identity identity',
    'stoa forget --user learner-17 --data datasets/split/train --data datasets/split/test --identity identity --model served',
  ],
  define: (command) => {
    command
      .addOption(required('--user <id>', 'whom'))
      .addOption(required('--identity <dir>', 'of the participant'))
      .addOption(
        required('--data <dataset>', 'dataset of the participant; may be repeated').argParser(collect),
      )
      .option(
        '--model <model>',
        'model of the own learners elsewhere than in IDENTITY/models; may be repeated',
        collect,
      );
  },
  run: async ({ options, output }) => {
    const { openIdentity } = await import('../../worker/participant/identity.js');
    const { lockFolder } = await import('../../coordinator/journal/folder-lock.js');
    const { forgetLearner } = await import('../forget-learner.js');
    const { user: userId, identity: dir, data: datasets, model: models = [] } = options;
    const identity = await openIdentity(dir);
    const lock = await lockFolder(dir, `the participant ${identity.name}`);
    try {
      const now = () => new Date();
      const forgotten = await forgetLearner({ userId, identity: dir, datasets, models, now });
      const { erasure, interactions, items, sources, rejects } = forgotten;
      const isCertified = identity.member !== undefined;
      output.answer(
        {
          subject: erasure.subject,
          salt: erasure.salt,
          erase_time: erasure.erase_time,
          interactions,
          items,
          datasets: forgotten.datasets,
          models: forgotten.models,
          removed_files: rejects,
          imported_from: sources,
          receipt_pending: isCertified,
        },
        () =>
          [
            `forgotten at ${minute(erasure.erase_time!)} UTC: interactions ${count(interactions)}` +
              (items === 0 ? '' : `, items that nobody else took ${count(items)}`) +
              `, models ${count(forgotten.models.length)}`,
            ...(rejects.length === 0 ? [] : [`removed:  ${rejects.join(', ')}`]),
            `salt:     ${erasure.salt}, for the learner alone`,
            isCertified
              ? 'receipt:  signed at the end of the next run'
              : 'receipt:  none can be signed before "stoa federation join": nobody could check it',
            ...(sources.length === 0
              ? []
              : [
                  `remains:  whatever was not named here: the files imported (${sources.join(', ')}), copies, a "stoa serve" that runs`,
                ]),
          ].join('\n'),
      );
    } finally {
      await lock.release();
    }
  },
});
