// docs/errors.md lists every error code, with the exit code and the gRPC status that the program really uses.

import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../common/errors.js';
import { filesUnder, readText, sourceFiles } from './source-files.js';

interface DocumentedCode {
  code: string;
  exitCode: number;
  grpcStatus: string;
  advice: string;
}

const documented = readText('docs/errors.md')
  .split('\n')
  .map((line) => /^\| `(STOA_\w+)` \| (.+?) \| (\d+) \| (\w+) \| (.+) \|$/.exec(line))
  .filter((match) => match !== null)
  .map(
    (match): DocumentedCode => ({
      code: match[1]!,
      exitCode: Number(match[3]),
      grpcStatus: match[4]!,
      advice: match[5]!,
    }),
  );

describe('docs/errors.md', () => {
  it('lists each code once, and no other', () => {
    expect(documented.map(({ code }) => code).sort()).toEqual(Object.keys(ERROR_CODES).sort());
  });

  it('gives the exit codes and gRPC statuses of the program', () => {
    const inProgram = Object.entries(ERROR_CODES).map(([code, { exitCode, grpcStatus }]) => ({
      code,
      exitCode,
      grpcStatus: status[grpcStatus],
    }));
    const inDocs = documented.map(({ code, exitCode, grpcStatus }) => ({ code, exitCode, grpcStatus }));
    const byCode = (a: { code: string }, b: { code: string }) => a.code.localeCompare(b.code);
    expect(inDocs.sort(byCode)).toEqual(inProgram.sort(byCode));
  });

  it('says what to do about each', () => {
    expect(documented.filter(({ advice }) => advice.length < 15)).toEqual([]);
  });

  it('has no code that the program never uses', () => {
    const folders = ['common', 'models', 'datasets', 'federation', 'coordinator', 'worker', 'client', 'cli'];
    const code = sourceFiles(folders)
      .filter(({ name }) => name !== 'common/errors.ts')
      .map(({ text }) => text)
      .join('\n');
    expect(filesUnder('cli').length).toBeGreaterThan(0);
    expect(Object.keys(ERROR_CODES).filter((name) => !new RegExp(`\\b${name}\\b`).test(code))).toEqual([]);
  });
});
