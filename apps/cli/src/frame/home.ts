/**
 * SEELE_HOME: the one folder that holds keys, chain, blobs, database, logs and what runs now.
 * Default `~/.seele`; every path of it is named here.
 */
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { makeDirectory } from '#libs/platform';
import { cliError } from '../errors.ts';

export interface Home {
  readonly path: string;
  readonly keys: string;
  readonly genesis: string;
  readonly run: string;
  readonly logs: string;
  readonly settings: string;
  /** Folder of one process's own data: `node`, `storage`, `postgres`, `market`, `providers/<name>`. */
  data(name: string): string;
}

export function homeAt(path: string): Home {
  const root = resolve(path);
  return {
    path: root,
    keys: join(root, 'keys'),
    genesis: join(root, 'genesis.cbor'),
    run: join(root, 'run'),
    logs: join(root, 'logs'),
    settings: join(root, 'settings.json'),
    data: (name) => join(root, name),
  };
}

export function defaultHome(): string {
  return process.env['SEELE_HOME'] || join(homedir(), '.seele');
}

/** Creates what is missing. @throws CLI_HOME when the folder cannot be written */
export function prepareHome(home: Home): void {
  try {
    // Others may pass through (PostgreSQL runs as another user when we are root), not look.
    makeDirectory(home.path, 0o711);
    for (const folder of [home.keys, home.run, home.logs]) makeDirectory(folder, 0o700);
    for (const folder of [home.path, home.keys, home.run, home.logs])
      accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw cliError('CLI_HOME', `cannot write to ${home.path} (${reason})`, { cause: error });
  }
}
