/** Refusals of the system (no right, no such file, a disk that fails), said with the path they are about. */
import { isSeeleError } from '#libs/kernel';
import { dataError } from '../errors.ts';

/** @param path where the error itself names none */
export function unreadable(cause: unknown, path: string): Error {
  if (isSeeleError(cause)) return cause;
  const { code, path: named = path } = cause as NodeJS.ErrnoException;
  return dataError('DATA_SOURCE', `cannot read ${named} (${code ?? String(cause)})`, { cause });
}

/** An error of the system over a file, and no fault of what is in it. */
export const isOfSystem = (error: unknown): boolean =>
  error instanceof Error && 'syscall' in error && 'path' in error;
