// Every command that the documents and the examples of --help show exists, with its flags; every script too.

import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { VERBS } from '../../cli/verb-table.js';
import { filesUnder, readText } from './source-files.js';

const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  ...filesUnder('docs').filter((name) => name.endsWith('.md')),
];

/** Lines of code blocks; a line that ends in a backslash goes on in the next. */
function codeLines(markdown: string): string[] {
  const blocks = [...markdown.matchAll(/^```(?:sh|console)\n([\s\S]*?)^```/gm)].map((match) => match[1]!);
  return blocks.flatMap((block) => block.replace(/\s*\\\n\s*/g, ' ').split('\n'));
}

function stoaCommands(lines: readonly string[]): string[] {
  return lines
    .map((line) => /^\s*(?:\$ )?(?:npx )?stoa (.+?)(?:\s+#.*|\s+\||\s+&)?$/.exec(line)?.[1])
    .filter((command) => command !== undefined);
}

async function loadVerb(name: string): Promise<Command | undefined> {
  return VERBS.find((entry) => entry.name === name)?.load?.();
}

/** What is wrong with a command line: an unknown verb or an unknown flag; undefined when nothing is. */
async function problemOf(commandLine: string): Promise<string | undefined> {
  const words = commandLine.split(/\s+/);
  if (words[0]!.startsWith('-')) return undefined;
  let command = await loadVerb(words[0]!);
  if (command === undefined) return `no verb ${words[0]}`;
  if (command.commands.length > 0) {
    const nested: Command | undefined = command.commands.find((candidate) => candidate.name() === words[1]);
    if (nested === undefined) return `no verb ${words[0]} ${words[1]}`;
    command = nested;
  }
  const known = ['--help', ...command.options.filter(({ hidden }) => !hidden).map(({ long }) => long)];
  const unknown = words.filter((word) => /^--[a-z]/.test(word) && !known.includes(word.split('=')[0]!));
  return unknown.length === 0 ? undefined : `no flag ${unknown.join(', ')}`;
}

describe('the documents', () => {
  it.each(DOCUMENTS)('%s shows only commands that exist', async (name) => {
    const wrong: string[] = [];
    for (const command of stoaCommands(codeLines(readText(name)))) {
      const problem = await problemOf(command);
      if (problem !== undefined) wrong.push(`stoa ${command}: ${problem}`);
    }
    expect(wrong).toEqual([]);
  });

  it('show only scripts that package.json has', () => {
    const { scripts } = JSON.parse(readText('package.json')) as { scripts: Record<string, string> };
    for (const name of DOCUMENTS) {
      for (const [, script] of readText(name).matchAll(/\bnpm run ([\w:-]+)/g)) {
        expect(Object.keys(scripts), name).toContain(script);
      }
    }
  });

  it('link only to files that are there', () => {
    for (const name of DOCUMENTS) {
      const folder = name.includes('/') ? name.slice(0, name.lastIndexOf('/') + 1) : '';
      for (const [, target] of readText(name).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
        expect(() => readText(`${folder}${target}`), `${name} links to ${target}`).not.toThrow();
      }
    }
  });

  it('show the commands that a newcomer needs in the README', () => {
    const shown = stoaCommands(codeLines(readText('README.md'))).map((line) => line.split(' ')[0]);
    for (const verb of ['data', 'train', 'recommend', 'serve', 'coordinator', 'worker'])
      expect(shown).toContain(verb);
  });
});

describe('the examples of --help', () => {
  it.each(VERBS.filter(({ load }) => load !== undefined).map(({ name }) => name))(
    'of "%s" are commands that exist',
    async (name) => {
      const command = (await loadVerb(name))!;
      const all = command.commands.length > 0 ? command.commands : [command];
      for (const one of all) {
        let help = '';
        one.configureOutput({ writeOut: (text) => (help += text) });
        one.outputHelp();
        const examples = stoaCommands(help.slice(help.indexOf('\nExample')).split('\n'));
        expect(examples.length).toBeGreaterThan(0);
        for (const example of examples) expect(await problemOf(example), example).toBeUndefined();
      }
    },
  );
});

describe('the reading of commands', () => {
  it('finds a wrong verb and a wrong flag', async () => {
    expect(await problemOf('trian --data x')).toBe('no verb trian');
    expect(await problemOf('data improt x')).toBe('no verb data improt');
    expect(await problemOf('train --datta x')).toBe('no flag --datta');
    expect(await problemOf('train --data x --out y --set ials.factors=8')).toBeUndefined();
    expect(stoaCommands(codeLines('```sh\nnpx stoa train --data x \\\n  --out y   # why\n```\n'))).toEqual([
      'train --data x --out y',
    ]);
  });
});
