import { UsageError } from '../../common/errors.js';
import { addCoordinatorFlags, type CoordinatorFlags } from '../coordinator-flags.js';
import { type ModelEntry, type ModelShelf, withModelShelf } from '../model-shelf.js';
import { count, minute } from '../quantities.js';
import { textTable } from '../text-table.js';
import { toCommand, toGroup } from '../verb.js';

interface Options extends CoordinatorFlags {
  state?: string;
}

const WHERE = (command: Parameters<typeof addCoordinatorFlags>[0]): void => {
  command.option('--state <dir>', 'or its state folder, while no coordinator runs on it');
  addCoordinatorFlags(command);
};

const list = toCommand<Options>({
  name: 'ls',
  summary: 'List the models of a coordinator, newest first',
  examples: ['stoa model ls --coordinator 127.0.0.1:7070'],
  define: WHERE,
  run: async ({ options, output }) => {
    const models = await onShelf(options, (shelf) => shelf.list());
    output.answer({ models }, () => (models.length === 0 ? 'no models yet' : table(models, output.width)));
  },
});

const promote = toCommand<Options>({
  name: 'promote',
  summary: 'Make a model the one that is served',
  description: 'Requests in flight end on the model before; none fails.',
  examples: ['stoa model promote VERSION --coordinator 127.0.0.1:7070'],
  define: (command) => WHERE(command.argument('<version>', 'as "stoa model ls" shows it')),
  run: async ({ args, options, output }) => {
    const model = await onShelf(options, (shelf) => shelf.promote(String(args[0])));
    output.answer({ model }, () => `${model.version} is served now`);
  },
});

const rollback = toCommand<Options>({
  name: 'rollback',
  summary: 'Serve the model that was promoted before',
  examples: ['stoa model rollback --coordinator 127.0.0.1:7070'],
  define: WHERE,
  run: async ({ options, output }) => {
    const model = await onShelf(options, (shelf) => shelf.rollback());
    output.answer({ model }, () => `${model.version} is served again`);
  },
});

export const command = toGroup('model', 'List models, promote one, roll back', [list, promote, rollback]);

function onShelf<T>(options: Options, work: (shelf: ModelShelf) => Promise<T>): Promise<T> {
  const { state, coordinator } = options;
  if ((state === undefined) === (coordinator === undefined)) {
    throw new UsageError('STOA_USAGE', 'give either --coordinator HOST:PORT or --state DIR', {
      fields: { field: '--coordinator' },
    });
  }
  return withModelShelf(options, work);
}

function table(models: readonly ModelEntry[], width: number): string {
  const rows = models.map((model) => [
    model.version,
    model.promoted ? 'served' : '',
    minute(model.create_time),
    count(model.users),
    count(model.items),
    model.factors,
    model.problem ?? '',
  ]);
  return textTable(rows, { header: ['version', '', 'made (UTC)', 'users', 'items', 'factors', ''], width });
}
