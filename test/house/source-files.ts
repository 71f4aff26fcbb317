// The repository's own files and what they import, for the tests of the house.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../common/package-root.js';

export interface SourceFile {
  /** From the repository's root, with slashes: "models/csr.ts". */
  name: string;
  text: string;
  /** The text without comments and without the contents of strings. */
  code: string;
  imports: Import[];
}

export interface Import {
  /** A file of ours from the root ("models/csr.ts"), or the name of a package ("node:fs", "zod"). */
  target: string;
  isOurs: boolean;
  isTypeOnly: boolean;
  /** `import()`: loaded when it is reached. */
  isDynamic: boolean;
}

const IMPORT =
  /(?:^|[\s;])(?:import|export)\s+(type\s+)?(?:[\w*{][^'";]*?\sfrom\s*)?'([^']+)'|import\(\s*'([^']+)'\s*\)/g;

/** All TypeScript files under the folders, in order of name. */
export function sourceFiles(folders: readonly string[]): SourceFile[] {
  return folders.flatMap((folder) =>
    filesUnder(folder)
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readSource(name)),
  );
}

/** Names of the files under a folder of the repository; none when there is no such folder. */
export function filesUnder(folder: string): string[] {
  try {
    return readdirSync(path.join(packageRoot, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) =>
        path.relative(packageRoot, path.join(entry.parentPath, entry.name)).replaceAll('\\', '/'),
      )
      .sort();
  } catch {
    return [];
  }
}

export function readText(name: string): string {
  return readFileSync(path.join(packageRoot, name), 'utf8');
}

/** What a text imports; `name` is the file it stands in, for relative paths. */
export function importsOf(name: string, text: string): Import[] {
  const withoutComments = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  return [...withoutComments.matchAll(IMPORT)].map((match) => {
    const specifier = (match[2] ?? match[3])!;
    const isOurs = specifier.startsWith('.');
    const target = isOurs
      ? path.posix.join(path.posix.dirname(name), specifier).replace(/\.js$/, '.ts')
      : specifier;
    return { target, isOurs, isTypeOnly: match[1] !== undefined, isDynamic: match[3] !== undefined };
  });
}

/** Takes comments and the contents of plain strings out, so that words can be looked for in what runs. */
export function codeOf(text: string): string {
  return text
    .replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, (match) =>
      match.startsWith('/') ? '' : `${match[0]}${match[0]}`,
    )
    .replace(/\n\s*\n/g, '\n');
}

function readSource(name: string): SourceFile {
  const text = readText(name);
  return { name, text, code: codeOf(text), imports: importsOf(name, text) };
}
