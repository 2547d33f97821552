/** Makes the folders of a home. Apart from home.ts, which every command loads, `--help` too. */
import { accessSync, constants } from 'node:fs';
import { makeDirectory } from '#libs/platform';
import { cliError } from '../errors.ts';
import type { Home } from './home.ts';

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
