// What goes where: answers to stdout, everything else to stderr, and errors as one line with their exit code.

import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Output, type OutputModes } from '../../cli/output.js';
import { StateError, SystemError } from '../../common/errors.js';

function captured(modes: Partial<OutputModes> = {}) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const output = new Output(
    { json: false, quiet: false, verbose: false, ...modes },
    stdout as unknown as NodeJS.WriteStream,
    stderr as unknown as NodeJS.WriteStream,
  );
  return {
    output,
    stdout: () => String(stdout.read() ?? ''),
    stderr: () => String(stderr.read() ?? ''),
  };
}

describe('Output', () => {
  it('answers in words, and with --json in one document and nothing else on stdout', () => {
    const words = captured();
    words.output.answer({ a: 1 }, () => 'one');
    expect(words.stdout()).toBe('one\n');
    const json = captured({ json: true });
    json.output.print('not shown');
    json.output.answer({ a: 1 }, () => 'one');
    json.output.remark('to stderr');
    expect(JSON.parse(json.stdout())).toEqual({ a: 1 });
    expect(json.stderr()).toBe('to stderr\n');
  });

  it('drops remarks with --quiet, never warnings', () => {
    const { output, stderr } = captured({ quiet: true });
    output.remark('by the way');
    output.warn('look out');
    expect(stderr()).toBe('stoa: look out\n');
  });

  it('says an error in one line and answers its exit code', () => {
    const { output, stdout, stderr } = captured();
    expect(output.fail(new StateError('STOA_EXISTS', 'runs/a already exists'))).toBe(2);
    expect(stderr()).toBe('stoa: runs/a already exists\n');
    expect(stdout()).toBe('');
  });

  it('gives the error as a document with --json', () => {
    const { output, stdout } = captured({ json: true });
    output.fail(new SystemError('STOA_UNREACHABLE', 'no answer', { fields: { address: '127.0.0.1:1' } }));
    expect(JSON.parse(stdout())).toEqual({
      error: {
        code: 'STOA_UNREACHABLE',
        message: 'no answer',
        fields: { address: '127.0.0.1:1' },
        exit_code: 1,
      },
    });
  });

  it('shows the chain of causes with --verbose only', () => {
    const error = new SystemError('STOA_RUN_FAILED', 'the run failed', {
      cause: new SystemError('STOA_DISK_FULL', 'no space', { cause: new Error('ENOSPC: write') }),
    });
    const plain = captured();
    plain.output.fail(error);
    expect(plain.stderr()).toBe('stoa: the run failed\n');
    const verbose = captured({ verbose: true });
    verbose.output.fail(error);
    expect(verbose.stderr()).toMatch(
      /STOA_RUN_FAILED\n.*caused by STOA_DISK_FULL: no space\n.*ENOSPC: write/s,
    );
  });

  it('owns up to a fault of its own, without a stack unless asked for', () => {
    const { output, stderr } = captured();
    expect(output.fail(new TypeError('x is\nundefined'))).toBe(1);
    expect(stderr()).toMatch(/^stoa: unexpected error: x is undefined; .*\n$/);
  });
});
