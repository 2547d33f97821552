/** Files a user names, and files that must never be half written. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { cliError } from '../errors.ts';

function reason(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

/** @throws CLI_FILE naming the path */
export function readUserFile(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw cliError('CLI_FILE', `cannot read ${path} (${reason(error)})`, { cause: error });
  }
}

/** @throws CLI_FILE naming the path */
export function writeUserFile(path: string, bytes: Uint8Array | string): void {
  try {
    writeFileSync(path, bytes);
  } catch (error) {
    throw cliError('CLI_FILE', `cannot write ${path} (${reason(error)})`, { cause: error });
  }
}

/** Whole or not at all: written beside, then renamed. */
export function replaceFile(path: string, text: string, mode = 0o600): void {
  const beside = `${path}.${process.pid}.new`;
  writeFileSync(beside, text, { mode });
  renameSync(beside, path);
}

/** The parsed file, or undefined when it is not there or not JSON. */
export function readJsonFile<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}
