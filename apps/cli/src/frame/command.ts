/**
 * How every command is made: a summary, an example, `--json` and `--home`, one line for an error, and
 * the exit code: 0 done, 1 refused or failed, 2 wrong usage.
 */
import { type Command, CommanderError } from 'commander';
import { isSeeleError } from '#libs/kernel';
import { cliError } from '../errors.ts';
import { type Home, defaultHome, homeAt } from './home.ts';
import { type Output, createOutput, errorDocument, errorLine } from './output.ts';

export interface CommandContext {
  readonly output: Output;
  readonly home: Home;
  /** Ends with Ctrl-C or SIGTERM; long commands clean up and return. */
  readonly signal: AbortSignal;
}

export interface CommandWords {
  readonly summary: string;
  /** Shown under --help, one or more command lines. */
  readonly examples: readonly string[];
}

export type Options = Readonly<Record<string, unknown>>;
export type Run<O extends Options> = (
  context: CommandContext,
  options: O,
  ...args: string[]
) => Promise<void>;

/** Adds a command, e.g. `leaf(program, 'put <file>', words)`; give it options, then `runs`. */
export function leaf(parent: Command, usage: string, words: CommandWords): Command {
  const command = parent.command(usage).description(words.summary);
  command.option('--json', 'print one JSON document on stdout');
  command.option('--home <dir>', 'folder of keys, data and logs (default: SEELE_HOME or ~/.seele)');
  const lines = words.examples.map((example) => `  $ ${example}`).join('\n');
  command.addHelpText('after', `\nExample:\n${lines}`);
  return command;
}

/** A command that only holds others: `account`, `job`, … */
export function group(parent: Command, name: string, summary: string): Command {
  return parent.command(name).description(summary);
}

/** What the command does. `load` brings the code in when the command is really called. */
export function runs<O extends Options>(command: Command, load: () => Promise<Run<O>>): void {
  command.action(async (...given: unknown[]) => {
    const options = command.opts<O & { json?: boolean; home?: string }>();
    const args = given.slice(0, -2).flat() as string[];
    const output = createOutput({ json: options.json === true });
    const context: CommandContext = {
      output,
      home: homeAt(options.home ?? defaultHome()),
      signal: interruption(),
    };
    try {
      await (
        await load()
      )(context, options, ...args);
    } catch (error) {
      report(output, error);
    }
  });
}

/** Aborted by Ctrl-C, SIGTERM, or when whoever reads our output has gone (`seele … | head`). */
function interruption(): AbortSignal {
  const controller = new AbortController();
  onReaderGone(() => controller.abort());
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.once(signal, () => {
      process.exitCode = code;
      controller.abort();
      // A second signal ends it at once.
      process.once(signal, () => process.exit(code));
    });
  return controller.signal;
}

/** A reader that has seen enough (`seele … | head`) is no failure of ours, in help texts neither. */
function onReaderGone(then: () => void): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      then();
    });
}

function report(output: Output, error: unknown): void {
  output.status('');
  const usage = isSeeleError(error) && error.code === 'CLI_USAGE';
  if (process.exitCode === undefined || process.exitCode === 0) process.exitCode = usage ? 2 : 1;
  if (isSeeleError(error)) process.stderr.write(`${errorLine(error)}\n`);
  else
    process.stderr.write(
      `seele: unexpected failure, please report it: ${error instanceof Error ? error.stack : String(error)}\n`,
    );
  if (output.json && !output.answered)
    process.stdout.write(`${JSON.stringify(errorDocument(error))}\n`);
}

/** Runs the command line; the exit code is set, never thrown. */
export async function runProgram(program: Command, argv: readonly string[]): Promise<void> {
  const json = argv.includes('--json');
  onReaderGone(() => {});
  const quiet = (command: Command) => {
    command.exitOverride();
    command.configureOutput({ outputError: () => {} });
    for (const inner of command.commands) quiet(inner);
  };
  quiet(program);
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    const words = error.message.replace(/^error: /, '');
    const shown = error.code === 'commander.help' ? undefined : words;
    if (shown !== undefined) report(createOutput({ json }), cliError('CLI_USAGE', shown));
    process.exitCode = 2;
  }
}

/** A whole number option. @throws CLI_USAGE */
export function wholeNumber(name: string, text: string, min = 0): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < min)
    throw cliError('CLI_USAGE', `${name} must be a whole number of at least ${min}, not "${text}"`);
  return value;
}

/** `name=value` options as pairs. @throws CLI_USAGE */
export function pairs(name: string, given: readonly string[]): [string, string][] {
  return given.map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw cliError('CLI_USAGE', `${name} takes name=value, not "${text}"`);
    return [text.slice(0, at), text.slice(at + 1)];
  });
}

/** Collects an option that may be given several times. */
export function collect(value: string, all: readonly string[]): string[] {
  return [...all, value];
}
