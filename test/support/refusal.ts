/**
 * How a program of this repository that the command line starts says why it did not begin: one document on
 * stdout and exit code 2. The command line makes its one line of it.
 */
import { stdout } from 'node:process';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { isSeeleError } from '#libs/kernel';

export const EXIT_REFUSED = 2;

/** What was given cannot be used; the message names it and says what could. */
export class WrongUsage extends Error {}

/** Says it; @returns the exit code. @throws the error itself when it is no refusal but a failure */
export function refuse(error: unknown): typeof EXIT_REFUSED {
  if (!(error instanceof WrongUsage) && !isSeeleError(error)) throw error;
  const { message } = error;
  const known = isSeeleError(error)
    ? { code: error.code, status: error.status, title: error.title, fix: error.fix }
    : {};
  stdout.write(`${JSON.stringify({ refused: { message, ...known } })}\n`);
  return EXIT_REFUSED;
}

/** Options of a command line; nothing else may stand there. @throws WrongUsage */
export function readOptions<T extends NonNullable<ParseArgsConfig['options']>>(
  args: readonly string[],
  options: T,
) {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new WrongUsage((error as Error).message.split('\n')[0] as string);
  }
}
