// How a verb is defined: its flags, its examples, and what it does. Every verb has --json, --quiet and --verbose.

import { Command, type CommanderError, Option } from 'commander';
import { StateError, UsageError } from '../common/errors.js';
import { Output } from './output.js';

/** Heading of the options that must be given. */
const REQUIRED = 'Required:';

export interface VerbContext<Options> {
  /** Positional arguments, as commander parsed them; a variadic one is an array. */
  args: readonly unknown[];
  options: Options;
  output: Output;
}

export interface Verb<Options> {
  name: string;
  /** One line for the list of verbs. */
  summary: string;
  /** For the verb's own help; the summary when absent. */
  description?: string;
  /** Complete commands that work. */
  examples: readonly string[];
  /** Text after the examples. */
  more?: () => string;
  /** Adds arguments and options. */
  define?: (command: Command) => void;
  /** What has to be imported is imported here, so that --help stays fast. */
  run: (context: VerbContext<Options>) => Promise<void>;
}

export function toCommand<Options>(verb: Verb<Options>): Command {
  const command = new Command(verb.name);
  command.summary(verb.summary).description(verb.description ?? `${verb.summary}.`);
  verb.define?.(command);
  command
    .option('--json', 'print one JSON document on stdout and nothing else there')
    .option('-q, --quiet', 'no progress, no remarks')
    .option('--verbose', 'show the causes of errors, and detailed logs')
    .addHelpText('after', () => `\n${examplesText(verb.examples)}${verb.more ? `\n\n${verb.more()}` : ''}`)
    .action(async () => {
      checkRequired(command);
      const flags = command.opts();
      const output = new Output({
        json: flags['json'] === true,
        quiet: flags['quiet'] === true,
        verbose: flags['verbose'] === true,
      });
      await verb.run({ args: command.processedArgs, options: flags as Options, output });
    });
  return strict(command);
}

function checkRequired(command: Command): void {
  const missing = command.options.find(
    (option) =>
      option.helpGroupHeading === REQUIRED && command.getOptionValue(option.attributeName()) === undefined,
  );
  if (missing === undefined) return;
  const verb = command.parent?.parent ? `${command.parent.name()} ${command.name()}` : command.name();
  throw new UsageError('STOA_USAGE', `"stoa ${verb}" needs ${missing.flags}; see "stoa ${verb} --help"`, {
    fields: { field: missing.long ?? missing.flags },
  });
}

/** A verb that has verbs of its own: `stoa data import`. */
export function toGroup(name: string, summary: string, commands: readonly Command[]): Command {
  const group = new Command(name).summary(summary).description(`${summary}.`);
  for (const command of commands) group.addCommand(command);
  return strict(group);
}

/** Throws instead of exiting, and leaves the saying of errors to `Output`. */
export function strict(command: Command): Command {
  return command
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .helpOption('-h, --help', 'show this help')
    .showSuggestionAfterError(true);
}

/** An option that must be given. Unknown options are named first: a mistyped one is why it seems to be missing. */
export function required(flags: string, description: string): Option {
  return new Option(flags, description).helpGroup(REQUIRED);
}

/** A parser of option values: a whole number within bounds. @throws {UsageError} naming flag and bounds. */
export function wholeNumber(flag: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isInteger(value) && value >= min && value <= max) return value;
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
    throw new UsageError('STOA_USAGE', `${flag} ${text}: expected a whole number ${range}`, {
      fields: { field: flag },
    });
  };
}

/** A parser of option values: a number within bounds, both allowed. @throws {UsageError} naming flag and bounds. */
export function realNumber(flag: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= min && value <= max) return value;
    throw new UsageError('STOA_USAGE', `${flag} ${text}: expected a number from ${min} to ${max}`, {
      fields: { field: flag },
    });
  };
}

/** Collects the values of an option that may be repeated. */
export function collect(value: string, earlier: readonly string[] = []): string[] {
  return [...earlier, value];
}

/** Adds options of the design that this version does not have: hidden, and their use says so. */
export function addUnbuilt(command: Command, flags: Readonly<Record<string, string>>): void {
  for (const [flag, sentence] of Object.entries(flags)) {
    const option = new Option(flag).hideHelp();
    command.addOption(option);
    command.on(`option:${option.name()}`, () => {
      throw new StateError('STOA_UNIMPLEMENTED', `${option.long} is not built yet: ${sentence}`);
    });
  }
}

/** What commander says of a wrong command line, as one of our errors; undefined when help or version was shown. */
export function usageErrorOf(error: CommanderError, path: string): UsageError | undefined {
  if (error.exitCode === 0) return undefined;
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n');
  const hint = /\(Did you mean (?:one of )?(.+?)\?\)/.exec(rest.join(' '))?.[1];
  const advice = hint === undefined ? `; see "${path} --help"` : `; did you mean "${hint}"?`;
  const text = first.replace(/\.$/, '').replace('. Allowed', '; allowed').replaceAll("'", '"');
  return new UsageError('STOA_USAGE', `${text}${advice}`);
}

function examplesText(examples: readonly string[]): string {
  const title = examples.length === 1 ? 'Example:' : 'Examples:';
  return [title, ...examples.map((example) => `  ${example}`)].join('\n');
}
