// Hooks of Node's loader that hand out one file of the machine with a mutation in it.

import type { LoadHook } from 'node:module';
import type { Mutation } from './mutations.js';

let mutation: Mutation;

export function initialize(data: Mutation): void {
  mutation = data;
}

export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context);
  if (!url.endsWith(`/dist/${mutation.folder ?? 'coordinator'}/${mutation.file}.js`)) return loaded;
  let text = String(loaded.source);
  for (const { from, to } of mutation.edits) {
    const parts = text.split(from);
    if (parts.length !== 2) {
      throw new Error(`mutation "${mutation.name}" fits ${parts.length - 1} times into ${mutation.file}`);
    }
    text = parts.join(to);
  }
  return { ...loaded, source: text };
};
