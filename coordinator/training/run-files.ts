import { readdir } from 'node:fs/promises';
import path from 'node:path';

/** Not for others: checkpoints serve the coordinator that resumes. */
const LEFT_OUT = ['checkpoints'];

/** Files of a run folder that are worth fetching, relative to it, in the order of their names. */
export async function runFiles(dir: string, below = ''): Promise<string[]> {
  const files: string[] = [];
  const entries = await readdir(path.join(dir, below), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.name.startsWith('.') || LEFT_OUT.includes(name)) continue;
    if (entry.isDirectory()) files.push(...(await runFiles(dir, name)));
    else if (entry.isFile()) files.push(name);
  }
  return files;
}
