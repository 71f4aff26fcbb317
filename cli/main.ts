#!/usr/bin/env node
// The command line: see program.ts. Here only the edges of the process: pipes that close, and the exit.

import { handleSignals } from './interrupts.js';
import { runProgram } from './program.js';

// A reader that has seen enough (`stoa … | head`) is no error.
process.stdout.on('error', leaveWhenPipeIsGone);
process.stderr.on('error', leaveWhenPipeIsGone);

handleSignals();
const code = await runProgram(process.argv.slice(2));
// What is written to a pipe is written later; leaving before would cut it off.
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
process.exit(code);

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve());
  });
}

function leaveWhenPipeIsGone(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
}
