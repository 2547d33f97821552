/** The files of a folder, without leaving it: links are not followed, other things than files not read. */
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { dataError } from '../errors.ts';
import type { FaultList } from './source-profile.ts';
import { unreadable } from './unreadable.ts';

const FILES_MAX = 20_000;
const DEPTH_MAX = 32;

export interface FolderFile {
  /** Relative, with `/`. */
  readonly name: string;
  readonly stamp: string;
}

/** What changes when a file is written to or replaced. */
export async function stampOf(path: string): Promise<string> {
  const { size, mtimeNs, ino, dev } = await lstat(path, { bigint: true });
  return `${dev}:${ino}:${size}:${mtimeNs}`;
}

/**
 * Sorted by name. Hidden files (`.name`) are left out.
 * @throws DATA_LIMIT; DATA_SOURCE for a folder in it that may not be read: nothing is left out silently
 */
export async function listFolder(root: string, faults: FaultList): Promise<readonly FolderFile[]> {
  const files: FolderFile[] = [];
  const visit = async (folder: string, depth: number): Promise<void> => {
    if (depth > DEPTH_MAX) throw dataError('DATA_LIMIT', `folders nested deeper than ${DEPTH_MAX}`);
    for await (const entry of await opendir(join(root, folder))) {
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.name.startsWith('.')) continue;
      if (entry.isSymbolicLink()) faults.add('symbolic-link', name);
      else if (entry.isDirectory()) await visit(name, depth + 1);
      else if (!entry.isFile()) faults.add('not-a-file', name);
      else if (!name.isWellFormed() || /[\\\n\r]/.test(name)) faults.add('unusable-name', name);
      else files.push({ name, stamp: await stampOf(join(root, name)) });
      if (files.length > FILES_MAX)
        throw dataError('DATA_LIMIT', `over ${FILES_MAX} files in ${root}`);
    }
  };
  await visit('', 0).catch((cause: unknown) => {
    throw unreadable(cause, root);
  });
  return files.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
