/** From a path to what describes it. What changes meanwhile is read again, and in the end refused. */
import { lstat, realpath } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeeleError, isSeeleError } from '#libs/kernel';
import { dataError } from '../errors.ts';
import {
  type ExtractionLimits,
  EXTRACTION_LIMITS,
  profileInProcess,
} from './extraction-process.ts';
import { type FolderFile, listFolder, stampOf } from './folder.ts';
import { FaultList, type SourceProfile } from './source-profile.ts';
import { unreadable } from './unreadable.ts';

const ATTEMPTS = 4;
const PAUSE_MS = 150;

export interface ExtractedSource {
  /** Absolute. */
  readonly path: string;
  readonly profile: SourceProfile;
  /** Of a folder; a file is one with the name ''. */
  readonly files: readonly FolderFile[];
}

async function kindOf(path: string): Promise<'file' | 'folder'> {
  const stats = await lstat(path).catch((cause: unknown) => {
    throw unreadable(cause, path);
  });
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'folder';
  throw dataError('DATA_SOURCE', `${path} is neither a file nor a folder`);
}

/** The stamps of the files, and of what SQLite keeps beside a database. */
async function filesOf(path: string, kind: 'file' | 'folder', faults: FaultList) {
  if (kind === 'folder') return listFolder(path, faults);
  const beside = await stampOf(`${path}-wal`).catch(() => '');
  return [{ name: '', stamp: (await stampOf(path)) + beside }];
}

const stampsOf = (files: readonly FolderFile[]): string =>
  files.map(({ name, stamp }) => `${name}\n${stamp}`).join('\n');

/**
 * @param given file or folder; a link that is named itself is followed, those inside a folder are not
 * @throws DATA_SOURCE, DATA_CHANGED, DATA_BROKEN, DATA_LIMIT, DATA_EXTRACTION
 */
export async function extractSource(
  given: string,
  limits: ExtractionLimits = EXTRACTION_LIMITS,
): Promise<ExtractedSource> {
  const path = await realpath(resolve(given)).catch(() => resolve(given));
  const kind = await kindOf(path);
  for (let attempt = 1; ; attempt++) {
    const faults = new FaultList();
    const files = await filesOf(path, kind, faults);
    const read = await profileInProcess(
      { is: 'profile', kind, path },
      kind === 'folder' ? files.map(({ name }) => name) : [],
      limits,
    ).catch((error: unknown) => error as Error);
    const unchanged =
      stampsOf(files) === stampsOf(await filesOf(path, kind, new FaultList()).catch(() => []));
    if (unchanged) {
      if (read instanceof Error) throw kind === 'file' ? named(read, path) : read;
      const profile = { ...read, faults: [...faults.list(), ...read.faults] };
      return { path, profile, files };
    }
    if (attempt >= ATTEMPTS)
      throw dataError('DATA_CHANGED', `${path} changed while it was read, ${ATTEMPTS} times`);
    await sleep(PAUSE_MS * attempt);
  }
}

/** The same refusal, saying which file it is about. */
function named(error: Error, path: string): Error {
  const name = basename(path);
  if (!isSeeleError(error) || error.message.includes(name)) return error;
  return new SeeleError(error.code, error, `${name}: ${error.message}`, { cause: error });
}

/** Whether a source is still what was extracted. */
export async function isUnchanged({ path, profile, files }: ExtractedSource): Promise<boolean> {
  const now = await filesOf(path, profile.kind === 'folder' ? 'folder' : 'file', new FaultList());
  return stampsOf(files) === stampsOf(now);
}

export const fileInSource = ({ path }: ExtractedSource, name: string): string =>
  name === '' ? path : join(path, name);
