/**
 * The files that a job file names. They lie in its folder or below it, links followed: a job file that
 * somebody else wrote must not send other files of this machine away, nor write over them.
 */
import { createReadStream, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';

export interface FileArea {
  /** Names in the job file are relative to this folder. */
  readonly folder: string;
  /** Nothing outside of this folder is read or written; links are followed first. */
  readonly within: string;
}

export interface LocalFile {
  readonly path: string;
  readonly sizeBytes: number;
}

type Fail = (what: string) => Error;

const reason = (error: unknown): string => {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' ? 'no such file' : (code ?? String(error));
};

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && resolve(folder, way) === path;
}

function realPath(path: string, given: string, fail: Fail): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw fail(`cannot read ${given} (${reason(error)})`);
  }
}

/** @throws what `fail` makes of it */
export function localFile(
  { folder, within }: FileArea,
  given: string,
  maxBytes: number,
  fail: Fail,
): LocalFile {
  const path = realPath(resolve(folder, given), given, fail);
  if (!isInside(realPath(within, within, fail), path))
    throw fail(`${given} lies outside ${within} (allow more with --files DIR)`);
  const facts = statSync(path);
  if (!facts.isFile()) throw fail(`${given} is not a file`);
  if (facts.size > maxBytes)
    throw fail(`${given} has ${facts.size} bytes, more than ${maxBytes} are not taken`);
  return { path, sizeBytes: facts.size };
}

/** Where a result may be written. @throws what `fail` makes of it */
export function outputFile(
  { folder, within }: FileArea,
  given: string,
  kind: 'file' | 'folder',
  fail: Fail,
): string {
  const wanted = resolve(folder, given);
  const parent = realPath(dirname(wanted), dirname(given), fail);
  let path = join(parent, basename(wanted));
  try {
    if (statSync(path).isDirectory() !== (kind === 'folder'))
      throw fail(
        `${given} is ${kind === 'file' ? 'a folder: name a file in it' : 'a file: many tasks write a folder'}`,
      );
    path = realpathSync(path);
  } catch (error) {
    // Not there yet: it is made.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  if (isInside(realPath(within, within, fail), path)) return path;
  throw fail(`${given} lies outside ${within} (allow more with --files DIR)`);
}

/** A file's bytes, as they are when they are read. */
export const contentOf = ({ path }: LocalFile): AsyncIterable<Uint8Array> =>
  createReadStream(path, { highWaterMark: 2 ** 20 });
