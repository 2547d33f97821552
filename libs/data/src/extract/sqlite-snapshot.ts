/** A copy of an SQLite database as of one moment, whatever writes to it meanwhile. */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync, backup } from 'node:sqlite';
import { makeDirectory } from '#libs/platform';
import { dataError } from '../errors.ts';

export async function snapshotDatabase(
  path: string,
  scratch: string,
): Promise<{ readonly path: string; remove(): Promise<void> }> {
  makeDirectory(scratch, 0o700);
  const copy = join(scratch, `${randomBytes(8).toString('hex')}.sqlite`);
  const remove = () => rm(copy, { force: true });
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true, allowExtension: false });
    await backup(database, copy, { rate: 10_000 });
    return { path: copy, remove };
  } catch (cause) {
    await remove();
    throw dataError('DATA_SOURCE', `cannot copy ${path}: ${(cause as Error).message}`, { cause });
  } finally {
    database?.close();
  }
}
