// Logs of the long-running roles: JSON lines on stderr for machines, short lines where a person watches.

import { type DestinationStream, type Logger, pino } from 'pino';
import type { Output } from './output.js';

const LEVELS: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warning',
  50: 'error',
  60: 'fatal',
};

/** Fields that every line has and nobody reads on a terminal. */
const HIDDEN = new Set(['level', 'time', 'msg', 'role', 'pid', 'err']);

/** The log of a role: `info` and above, `debug` with --verbose, warnings only with --quiet. */
export function roleLogger(output: Output, role: string): Logger {
  const level = output.modes.verbose ? 'debug' : output.modes.quiet ? 'warn' : 'info';
  const stream = output.isTerminal
    ? lineStream((text) => process.stderr.write(`${text}\n`))
    : pino.destination({ fd: 2, sync: true });
  return pino({ level, base: { role } }, stream);
}

/** A log that speaks through something else, such as a display: warnings, everything with --verbose. */
export function embeddedLogger(output: Output, role: string, print: (line: string) => void): Logger {
  return pino({ level: output.modes.verbose ? 'debug' : 'warn', base: { role } }, lineStream(print));
}

/** One log line for people: `12:03:04 warning  message  key=value`. Lines that are no log line stay as they are. */
export function readableLogLine(line: string): string {
  const entry = parseEntry(line);
  if (entry === undefined) return line;
  const time = new Date(Number(entry['time'])).toTimeString().slice(0, 8);
  const level = LEVELS[Number(entry['level'])] ?? 'info';
  const facts = Object.entries(entry)
    .filter(([key]) => !HIDDEN.has(key))
    .map(([key, value]) => `${key}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`);
  const error = (entry['err'] as { message?: string } | undefined)?.message;
  const words = [`${time} ${level.padEnd(7)}`, String(entry['msg'] ?? ''), ...facts];
  if (error !== undefined) words.push(`error: ${error}`);
  return words.join('  ').trimEnd();
}

function parseEntry(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const entry = JSON.parse(line) as Record<string, unknown>;
    return 'level' in entry && 'time' in entry ? entry : undefined;
  } catch {
    return undefined;
  }
}

function lineStream(print: (line: string) => void): DestinationStream {
  return { write: (line) => print(readableLogLine(line.trimEnd())) };
}
