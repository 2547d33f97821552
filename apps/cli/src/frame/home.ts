/**
 * SEELE_HOME: the one folder that holds keys, chain, blobs, database, logs and what runs now.
 * Default `~/.seele`; every path of it is named here.
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

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
