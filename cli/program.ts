// Turns a command line into a verb that runs, and its end into an exit code.

import { Command, CommanderError } from 'commander';
import { StateError } from '../common/errors.js';
import { Output } from './output.js';
import { programVersion } from './program-version.js';
import { strict, usageErrorOf } from './verb.js';
import { START, VERBS, type VerbEntry } from './verb-table.js';

/** Runs one command line, without the program's name, and answers its exit code. Never throws. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  const output = new Output({
    json: argv.includes('--json'),
    quiet: argv.includes('--quiet') || argv.includes('-q'),
    verbose: argv.includes('--verbose'),
  });
  try {
    const program = await buildProgram(argv);
    if (argv.length === 0) {
      program.outputHelp();
      return 0;
    }
    await program.parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (error) {
    if (!(error instanceof CommanderError)) return output.fail(error);
    if (error.code === 'commander.help') return 2;
    const usage = usageErrorOf(error, helpPath(argv));
    return usage === undefined ? 0 : output.fail(usage);
  }
}

/** The program with all verbs in its list, and the one that is asked for loaded in full. */
async function buildProgram(argv: readonly string[]): Promise<Command> {
  const program = strict(new Command('stoa'));
  program
    .description('Stoa trains recommenders for online learning on many machines, and serves them.')
    .version(programVersion(), '-V, --version', 'print the version')
    .addHelpCommand(new Command('help [verb]').description('Show the help of a verb').helpGroup(START))
    .addHelpText('after', '\n"stoa VERB --help" shows the flags of a verb, with an example.');
  const asked = argv.filter((word) => !word.startsWith('-')).slice(0, 2);
  const first = asked[0] === 'help' ? asked[1] : asked[0];
  for (const entry of VERBS) program.addCommand(await commandOf(entry, entry.name === first));
  return program;
}

async function commandOf(entry: VerbEntry, isAsked: boolean): Promise<Command> {
  if (entry.load === undefined) return unbuiltCommand(entry);
  const command = isAsked ? await entry.load() : new Command(entry.name).description(entry.summary);
  return command.helpGroup(entry.group);
}

function unbuiltCommand(entry: VerbEntry): Command {
  return strict(new Command(entry.name))
    .allowUnknownOption()
    .allowExcessArguments()
    .helpGroup('Not built yet:')
    .description(entry.summary)
    .action(() => {
      throw new StateError('STOA_UNIMPLEMENTED', `"stoa ${entry.name}" is not built yet; ${entry.unbuilt}`);
    });
}

/** Which help to point at: that of the verb, where there is one. */
function helpPath(argv: readonly string[]): string {
  const words = argv.slice(0, 2).filter((word) => /^[a-z]+$/.test(word));
  const verb = VERBS.find((entry) => entry.name === words[0]);
  if (verb === undefined) return 'stoa';
  return verb.isGroup === true ? ['stoa', ...words].join(' ') : `stoa ${verb.name}`;
}
