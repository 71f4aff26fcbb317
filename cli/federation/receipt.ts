import { readFile } from 'node:fs/promises';
import { messageOf, NotFoundError, UsageError } from '../../common/errors.js';
import { minute } from '../quantities.js';
import { required, toCommand } from '../verb.js';

interface Options {
  authority: string;
  user?: string;
  salt?: string;
}

export const receipt = toCommand<Options>({
  name: 'receipt',
  summary: 'Check a receipt of erasure',
  description:
    "Needs the receipt and the certificate of the federation's authority, and no network. With --user and --salt it " +
    'also says whether the receipt is about that learner: the salt is what the learner was given with it.',
  examples: [
    'stoa federation receipt receipt.json --authority uni-a/authority.pem',
    'stoa federation receipt receipt.json --authority uni-a/authority.pem --user learner-17 --salt 9f2c…',
  ],
  define: (command) => {
    command
      .argument('<file>', 'the receipt')
      .addOption(required('--authority <file>', 'certificate of the authority (PEM)'))
      .option('--user <id>', 'with --salt: whom it should be about')
      .option('--salt <hex>', 'of the learner');
  },
  run: async ({ args, options, output }) => {
    const { isAbout, readReceipt, SALT_BYTES } = await import('../../federation/erasure/erasure-receipt.js');
    if ((options.user === undefined) !== (options.salt === undefined)) {
      throw new UsageError('STOA_USAGE', '--user and --salt go together; give both', {
        fields: { field: options.user === undefined ? '--user' : '--salt' },
      });
    }
    const file = String(args[0]);
    const found = readReceipt(await readText(file), await readText(options.authority));
    const { user, salt } = options;
    const isOfUser =
      user === undefined || salt === undefined ? null : isAbout(found, user, saltOf(salt, SALT_BYTES));
    const { participant, federation, round, basis, model_version, run_id, erase_time } = found;
    output.answer(
      {
        valid: true,
        is_about_user: isOfUser,
        participant,
        federation,
        run_id,
        round,
        basis,
        model_version,
        erase_time,
      },
      () =>
        [
          `valid: signed by ${participant} of ${federation}; the learner was erased at ${minute(erase_time)} UTC`,
          basis === 'model'
            ? `model ${model_version} follows from nothing of the learner`
            : `from round ${round} of ${run_id} on, of which ${model_version} is the first model, no statistics hold anything of the learner`,
          ...(isOfUser === null ? [] : [isOfUser ? `it is about ${user}` : `it is NOT about ${user}`]),
        ].join('\n'),
    );
  },
});

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new NotFoundError('STOA_NOT_FOUND_FILE', `${file} cannot be read: ${messageOf(error)}`, {
      fields: { file },
      cause: error,
    });
  });
}

function saltOf(text: string, bytes: number): Uint8Array {
  if (new RegExp(`^[0-9a-fA-F]{${bytes * 2}}$`).test(text)) return Buffer.from(text, 'hex');
  throw new UsageError('STOA_USAGE', `--salt: expected ${bytes * 2} hexadecimal digits`, {
    fields: { field: '--salt' },
  });
}
