/**
 * The user PostgreSQL runs as. It refuses to run as root, so root lends it `nobody` and must keep
 * what the server needs where `nobody` can reach it.
 */
import { stat } from 'node:fs/promises';
import { dirname, parse } from 'node:path';

export interface RunAs {
  /** Present when another user than ours: the options of `spawn` and the owner of the files. */
  readonly other?: { readonly uid: number; readonly gid: number };
}

/** `nobody` on every Linux distribution that matters. */
const NOBODY = 65_534;

export function postgresUser(): RunAs {
  return process.getuid?.() === 0 ? { other: { uid: NOBODY, gid: NOBODY } } : {};
}

/** True when that user can enter the directory: every directory on the way lets others pass. */
export async function isReachableBy(runAs: RunAs, path: string): Promise<boolean> {
  try {
    if (runAs.other === undefined) return (await stat(path)).isDirectory();
    const { uid } = runAs.other;
    for (let at = path; ; at = dirname(at)) {
      const found = await stat(at);
      const passes = found.uid === uid ? found.mode & 0o100 : found.mode & 0o001;
      if (!found.isDirectory() || passes === 0) return false;
      if (at === parse(at).root) return true;
    }
  } catch {
    return false;
  }
}
