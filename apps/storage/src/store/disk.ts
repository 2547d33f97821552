/** What the disk refuses, in words; and how much of it is left. */
import { statfs } from 'node:fs/promises';

import { defineErrors, isSeeleError } from '#libs/kernel';
import { storageError } from '#libs/storage';

export const diskError = defineErrors({
  STORAGE_DISK: {
    status: 500,
    title: 'The storage folder cannot be used',
    fix: 'Give this user write access to the folder in SEELE_STORAGE_HOME, or name another one.',
  },
});

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Names the cause of a failed write. */
export function writeFailure(error: unknown, path: string): Error {
  if (isSeeleError(error)) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== undefined && FULL.has(code))
    return storageError('STORAGE_FULL', `no space left on the disk of ${path} (${code})`);
  return diskError('STORAGE_DISK', `cannot write in ${path} (${message})`, { cause: error });
}

export interface DiskSpace {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export async function diskSpace(path: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(path);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}

/** Refuses to start writing when less than the reserve is free. @throws STORAGE_FULL */
export async function requireSpace(path: string, reserveBytes: number): Promise<void> {
  const { freeBytes } = await diskSpace(path);
  if (freeBytes < reserveBytes)
    throw storageError(
      'STORAGE_FULL',
      `no space left: ${freeBytes} bytes are free on the disk of ${path}, ` +
        `${reserveBytes} are kept in reserve`,
    );
}
