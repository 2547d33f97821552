/** Where a change of a source shows first. Each tells "something may have changed", never what. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type FSWatcher, watch } from 'chokidar';
import { dataError } from '../errors.ts';
import { detectFormat } from '../extract/detect-format.ts';
import { listFolder, stampOf } from '../extract/folder.ts';
import { isTableUrl } from '../extract/postgres.ts';
import { FaultList } from '../extract/source-profile.ts';
import { watchTable } from './postgres-slot.ts';

export interface ChangeListener {
  /** Something may have changed; durable when it returns. */
  noticed(): void;
  /** The source cannot be watched now; it is tried again. */
  failed(error: Error): void;
}

export interface ChangeSource {
  stop(): Promise<void>;
}

/** How often stamps are compared, for events that got lost (a full queue of the system, a network disk). */
const RESCAN_MS = 5_000;
const DATABASE_POLL_MS = 200;
/** How long events are waited for in a large folder or on a slow disk: from then on the stamps show changes. */
const EVENTS_LIMIT_MS = 10_000;

/**
 * Resolves when a change from now on shows.
 *
 * @param name what the watch is kept under where the source itself remembers it (a slot)
 */
export async function watchSource(
  source: string,
  name: string,
  listener: ChangeListener,
): Promise<ChangeSource> {
  if (isTableUrl(source)) return watchTable(source, name, listener);
  const stats = await stat(source).catch((cause: unknown) => {
    throw dataError('DATA_SOURCE', `cannot watch ${source}`, { cause });
  });
  if (stats.isFile() && (await detectFormat(source)) === 'sqlite')
    return watchDatabase(source, listener);
  return watchFiles(source, stats.isDirectory(), listener);
}

async function stampsOf(path: string, isFolder: boolean): Promise<string> {
  if (!isFolder) return stampOf(path);
  const files = await listFolder(path, new FaultList());
  return files.map(({ name, stamp }) => `${name} ${stamp}`).join('\n');
}

/** Events of the system, and a look at all stamps every few seconds in case one was lost. */
async function watchFiles(
  path: string,
  isFolder: boolean,
  listener: ChangeListener,
): Promise<ChangeSource> {
  const options = {
    ...{ ignoreInitial: true, followSymlinks: false, persistent: true },
    // A file that is replaced by another of its name shows in its folder.
    ...(!isFolder && {
      depth: 0,
      ignored: (each: string) => each !== path && each !== dirname(path),
    }),
  };
  const watcher: FSWatcher = watch(isFolder ? path : dirname(path), options);
  const watches = new Promise<void>((resolve) => {
    watcher.once('ready', resolve).once('error', () => resolve());
    setTimeout(resolve, EVENTS_LIMIT_MS).unref();
  });
  watcher.on('all', (_event, changed) => {
    if (isFolder || changed === path) listener.noticed();
  });
  watcher.on('error', (error) =>
    listener.failed(error instanceof Error ? error : new Error(String(error))),
  );
  let known: string | undefined;
  const look = async (): Promise<void> => {
    const now = await stampsOf(path, isFolder).catch(() => undefined);
    if (now === undefined) return;
    if (known !== undefined && known !== now) listener.noticed();
    known = now;
  };
  await look();
  const timer = setInterval(() => void look(), RESCAN_MS);
  await watches;
  return {
    async stop() {
      clearInterval(timer);
      await watcher.close();
    },
  };
}

/** `PRAGMA data_version` changes when another connection commits (sqlite.org/pragma.html). */
async function watchDatabase(path: string, listener: ChangeListener): Promise<ChangeSource> {
  let database: DatabaseSync | undefined;
  let known = '';
  const look = async (): Promise<void> => {
    try {
      database ??= new DatabaseSync(path, { readOnly: true, allowExtension: false });
      const { ino } = await stat(path);
      const row = database.prepare('PRAGMA data_version').get() as { data_version: number };
      const now = `${ino} ${row.data_version}`;
      if (known !== '' && known !== now) {
        listener.noticed();
        // The file may be another one now, which the open connection does not see.
        if (!known.startsWith(`${ino} `)) {
          database.close();
          database = undefined;
        }
      }
      known = now;
    } catch (error) {
      database?.close();
      database = undefined;
      known = 'gone';
      listener.failed(error as Error);
    }
  };
  await look();
  const timer = setInterval(() => void look(), DATABASE_POLL_MS);
  return {
    async stop() {
      clearInterval(timer);
      database?.close();
      database = undefined;
    },
  };
}
