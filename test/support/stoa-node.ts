import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { builtEntry } from '../../common/package-root.js';

/**
 * Runs a module in a Node process of its own and answers the JSON that it prints.
 *
 * @param entry of the build: its URL is the module's first argument, before `args`.
 */
export async function stoaNode(
  script: string,
  entry: string,
  ...args: string[]
): Promise<Record<string, number | boolean>> {
  const command = ['--input-type=module', '-e', script, builtEntry(entry).href, ...args];
  const { stdout } = await promisify(execFile)(process.execPath, command);
  return JSON.parse(stdout) as Record<string, number | boolean>;
}
