// What a verb says: its answer on stdout, everything else on stderr. With --json stdout has one document only.

import { styleText } from 'node:util';
import { messageOf, StoaError } from '../common/errors.js';

export interface OutputModes {
  /** One JSON document on stdout, nothing else there. */
  json: boolean;
  /** No progress and no remarks. */
  quiet: boolean;
  /** Errors with all their causes, logs with all details. */
  verbose: boolean;
}

/** Longest line of prose; terminals are wider, eyes are not. */
const WIDTH_MAX = 100;

export class Output {
  constructor(
    readonly modes: OutputModes,
    private readonly stdout: NodeJS.WriteStream = process.stdout,
    private readonly stderr: NodeJS.WriteStream = process.stderr,
  ) {}

  /** True where a line can be drawn again: progress is a display there, and log lines elsewhere. */
  get isTerminal(): boolean {
    return this.stderr.isTTY === true;
  }

  /** Columns to fill, 40 to 100. */
  get width(): number {
    return Math.max(40, Math.min(this.stdout.columns ?? 80, WIDTH_MAX));
  }

  /** The answer of the verb: the document with --json, else the text. Called once. */
  answer(document: unknown, text: () => string): void {
    this.stdout.write(this.modes.json ? `${JSON.stringify(document)}\n` : `${text()}\n`);
  }

  /** A part of an answer that grows while it is read; nothing with --json. */
  print(text: string): void {
    if (!this.modes.json) this.stdout.write(`${text}\n`);
  }

  /** Something to know besides the answer: stderr, not with --quiet. */
  remark(text: string): void {
    if (!this.modes.quiet) this.stderr.write(`${text}\n`);
  }

  /** One line on stderr that --quiet does not hide. */
  warn(text: string): void {
    this.stderr.write(`stoa: ${text}\n`);
  }

  bold(text: string): string {
    return this.hasColors() ? styleText('bold', text) : text;
  }

  dim(text: string): string {
    return this.hasColors() ? styleText('dim', text) : text;
  }

  /** Says why a verb failed and answers its exit code. */
  fail(error: unknown): number {
    const { code, message, fields, exitCode } = describe(error);
    if (this.modes.json) {
      this.stdout.write(`${JSON.stringify({ error: { code, message, fields, exit_code: exitCode } })}\n`);
    }
    this.warn(message);
    if (this.modes.verbose) for (const line of causes(error)) this.stderr.write(`  ${line}\n`);
    return exitCode;
  }

  private hasColors(): boolean {
    const noColor = process.env['NO_COLOR'];
    return this.stdout.isTTY === true && (noColor === undefined || noColor === '');
  }
}

function describe(error: unknown): {
  code: string;
  message: string;
  fields: object;
  exitCode: number;
} {
  if (error instanceof StoaError) {
    const { code, fields, exitCode } = error;
    return { code, message: oneLine(error.message), fields, exitCode };
  }
  const message = `unexpected error: ${oneLine(messageOf(error))}; this is a fault of Stoa, --verbose shows where`;
  return { code: 'STOA_INTERNAL', message, fields: {}, exitCode: 1 };
}

/** The errors beneath, outermost first; the stack of an error that is no StoaError, since it is a fault of ours. */
function causes(error: unknown): string[] {
  const lines: string[] = [];
  if (error instanceof StoaError) lines.push(`code: ${error.code}`);
  let current: unknown = error;
  // A cycle of causes would never end; nobody reads more than a few.
  for (let depth = 0; current instanceof Error && depth < 10; depth++) {
    if (!(current instanceof StoaError)) lines.push(...(current.stack ?? current.message).split('\n'));
    else if (depth > 0) lines.push(`caused by ${current.code}: ${oneLine(current.message)}`);
    current = current.cause;
  }
  return lines;
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').trim();
}
