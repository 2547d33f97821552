/**
 * Files that hold secrets or must never be seen half-written: mode 0600, replaced atomically
 * (temporary file, fsync, rename, fsync of the directory), refused when others can read them.
 */
import { randomBytes } from 'node:crypto';
import { chmod, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Bytes } from '#libs/kernel';
import { describeSystemError, platformError, systemCode } from './errors.ts';
import { makeDirectory } from './make-directory.ts';

export const PRIVATE_FILE_MODE = 0o600;
export const PRIVATE_DIRECTORY_MODE = 0o700;
/** No secret is larger; a larger file is not one. */
export const PRIVATE_FILE_MAX_BYTES = 1024 * 1024;

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates a directory only its owner can enter; an existing one keeps its mode. */
export async function ensurePrivateDirectory(path: string): Promise<void> {
  try {
    makeDirectory(path, PRIVATE_DIRECTORY_MODE);
  } catch (error) {
    throw describeSystemError(error, path);
  }
}

/**
 * Replaces a file in one step: readers see the old contents or the new, whatever dies when.
 *
 * @throws PLATFORM_DISK_FULL, PLATFORM_PERMISSION; the old file is then untouched
 */
export async function writeFileAtomic(
  path: string,
  content: string | Bytes,
  mode: number = PRIVATE_FILE_MODE,
): Promise<void> {
  const directory = dirname(path);
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await chmod(temporary, mode);
    await rename(temporary, path);
    await syncDirectory(directory);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw describeSystemError(error, path);
  }
}

/** Writes a secret: 0600, atomically, in a directory of mode 0700 that is made when missing. */
export async function writePrivateFile(path: string, content: string | Bytes): Promise<void> {
  await ensurePrivateDirectory(dirname(path));
  await writeFileAtomic(path, content, PRIVATE_FILE_MODE);
}

/**
 * Reads a secret, `undefined` when there is none.
 *
 * @throws PLATFORM_SECRET_LOOSE when group or others have any right on it
 */
export async function readPrivateFile(path: string): Promise<Bytes | undefined> {
  try {
    const { mode, size } = await stat(path);
    if ((mode & 0o077) !== 0)
      throw platformError(
        'PLATFORM_SECRET_LOOSE',
        `${path} has mode ${(mode & 0o777).toString(8)}; a secret must have 600`,
        { detail: { path } },
      );
    if (size > PRIVATE_FILE_MAX_BYTES)
      throw platformError('PLATFORM_FILE_UNREADABLE', `${path} is too large to be a secret`);
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw describeSystemError(error, path);
  }
}
