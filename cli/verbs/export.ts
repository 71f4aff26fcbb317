import { required, toCommand } from '../verb.js';

interface Options {
  format: 'npy' | 'safetensors' | 'parquet';
  out: string;
}

export const command = toCommand<Options>({
  name: 'export',
  summary: 'Write a model for other programs',
  description:
    'Writes the factors and ids of a model for other programs. "npy" makes user_factors.npy, item_factors.npy, ' +
    'users.csv and items.csv (row,id), which numpy reads.',
  examples: ['stoa export runs/a --format npy --out exported'],
  define: (command) => {
    command
      .argument('<model>', 'model or run folder')
      .addOption(required('--format <format>', 'what to write').choices(['npy', 'safetensors', 'parquet']))
      .addOption(required('--out <dir>', 'folder to make; refused when it has something in it'));
  },
  run: async ({ args, options, output }) => {
    const { exportModel } = await import('../../coordinator/registry/export-model.js');
    await exportModel(String(args[0]), options.format, options.out);
    output.answer({ out: options.out, format: options.format }, () => `exported to ${options.out}`);
  },
});
