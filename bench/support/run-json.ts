import { spawnSync } from 'node:child_process';

/** The longest that one measured process may take. */
const TIMEOUT_MS = 30 * 60_000;

/**
 * Runs a program to its end and reads the JSON document that it prints.
 *
 * @throws {Error} it failed: with the last line that it said.
 */
export function runJson<T>(command: string, args: readonly string[], env = process.env): T {
  const child = spawnSync(command, args, { encoding: 'utf8', env, timeout: TIMEOUT_MS, maxBuffer: 64 << 20 });
  if (child.status === 0) return JSON.parse(child.stdout) as T;
  const why = child.error?.message ?? `${child.stderr}`.trim().split('\n').at(-1);
  throw new Error(`${command} ${args.slice(0, 3).join(' ')} … failed: ${why}`);
}
