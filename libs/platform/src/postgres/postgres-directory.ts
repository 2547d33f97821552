/**
 * Where an embedded PostgreSQL keeps its cluster. An ordinary user: under the given directory. Root:
 * there too when `nobody` can reach it, otherwise (a home under /root) in /var/lib/seele, and the
 * given directory holds a link `data` to it. The password stays with us, mode 0600.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { utf8Decode } from '#libs/kernel';
import { describeSystemError, platformError, systemCode } from '../errors.ts';
import { makeDirectory } from '../make-directory.ts';
import { readPrivateFile, writePrivateFile } from '../private-files.ts';
import type { PostgresEngine } from './postgres-engine.ts';
import { isReachableBy, type RunAs } from './run-as.ts';

/** Used by root when the wanted place lies behind a directory only root can enter. */
const SHARED_ROOT = '/var/lib/seele';

export interface PostgresCluster {
  /** The cluster's real directory. */
  readonly data: string;
  /** Parent of the data, where a copy of the binaries may lie. */
  readonly base: string;
  readonly password: string;
  readonly logFile: string;
}

const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

/** Lets the server's user pass through our own directory (not list it): keys in it stay 0600. */
async function letPass(directory: string): Promise<void> {
  const { mode, uid } = await stat(directory);
  if (uid === process.getuid?.() && (mode & 0o001) === 0)
    await chmod(directory, (mode & 0o7777) | 0o001);
}

/** Decides (once) where the cluster of `directory` lies, and notes it there as the link `data`. */
async function placeCluster(directory: string, runAs: RunAs): Promise<string> {
  const data = join(directory, 'data');
  if (await exists(data)) return realpath(data);
  if (runAs.other === undefined) return data;
  if (await isReachableBy(runAs, dirname(dirname(directory)))) {
    await letPass(dirname(directory));
    await letPass(directory);
    return data;
  }
  const elsewhere = join(SHARED_ROOT, `postgres-${randomBytes(8).toString('hex')}`);
  await mkdir(elsewhere, { recursive: true, mode: 0o755 });
  await symlink(join(elsewhere, 'data'), data);
  return join(elsewhere, 'data');
}

async function clusterPassword(directory: string, isNew: boolean): Promise<string> {
  const path = join(directory, 'password');
  const kept = await readPrivateFile(path);
  if (kept !== undefined) return utf8Decode(kept).trim();
  if (!isNew)
    throw platformError(
      'PLATFORM_FILE_UNREADABLE',
      `${path} is missing, but the database it opens exists`,
    );
  const password = randomBytes(24).toString('base64url');
  await writePrivateFile(path, `${password}\n`);
  return password;
}

function runInitdb(
  engine: PostgresEngine,
  data: string,
  passwordFile: string,
  runAs: RunAs,
): Promise<void> {
  const args = ['-D', data, '-U', 'postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  const child = spawn(
    engine.initdb,
    [...args, '--encoding=UTF8', '--locale=C', '--wal-segsize=1', '--data-checksums'],
    { ...runAs.other, cwd: '/', env: { LC_ALL: 'C' }, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (complaint.length < 4096) complaint += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.on('error', (error) => reject(describeSystemError(error, engine.initdb)));
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(explainPostgresFailure(complaint, data)),
    );
  });
}

/** Names the cause in what PostgreSQL printed. */
export function explainPostgresFailure(printed: string, subject: string): Error {
  const tail = printed.trim().split('\n').slice(-5).join(' / ').slice(-800);
  if (/No space left on device|Disk quota exceeded/i.test(printed))
    return platformError('PLATFORM_DISK_FULL', `no space left for ${subject}: ${tail}`);
  if (/Address already in use/i.test(printed))
    return platformError('PLATFORM_PORT_IN_USE', `${subject} is already in use`);
  if (/Permission denied/i.test(printed))
    return platformError('PLATFORM_PERMISSION', `no permission for ${subject}: ${tail}`);
  return platformError('PLATFORM_POSTGRES_FAILED', `${subject}: ${tail || 'it said nothing'}`);
}

/** Makes the cluster beside its final place and moves it there when whole. */
async function createCluster(
  engine: PostgresEngine,
  cluster: PostgresCluster,
  runAs: RunAs,
): Promise<void> {
  const work = join(cluster.base, `new-${randomBytes(6).toString('hex')}`);
  const passwordFile = join(work, 'password');
  try {
    await mkdir(work, { mode: 0o700 });
    await writeFile(passwordFile, cluster.password, { mode: 0o600 });
    if (runAs.other !== undefined) {
      await chown(passwordFile, runAs.other.uid, runAs.other.gid);
      await chown(work, runAs.other.uid, runAs.other.gid);
    }
    await runInitdb(engine, join(work, 'data'), passwordFile, runAs);
    await rename(join(work, 'data'), cluster.data);
  } catch (error) {
    const isThere = systemCode(error) === 'ENOTEMPTY' || systemCode(error) === 'EEXIST';
    if (!isThere) throw describeSystemError(error, cluster.data);
    const message = `${cluster.data} is already there, but is no whole cluster or another process just made it`;
    throw platformError('PLATFORM_POSTGRES_FAILED', message, { cause: error });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * Finds or creates the cluster of `directory`.
 *
 * @throws PLATFORM_PERMISSION, PLATFORM_DISK_FULL, PLATFORM_POSTGRES_FAILED, PLATFORM_SECRET_LOOSE
 */
export async function preparePostgresCluster(
  directory: string,
  runAs: RunAs,
  engineAt: (base: string) => Promise<PostgresEngine>,
): Promise<{ engine: PostgresEngine; cluster: PostgresCluster }> {
  try {
    makeDirectory(directory, 0o700);
    const data = await placeCluster(directory, runAs);
    const base = dirname(data);
    const engine = await engineAt(base);
    const isNew = !(await exists(join(data, 'PG_VERSION')));
    const password = await clusterPassword(directory, isNew);
    const cluster = { data, base, password, logFile: join(directory, 'postgres.log') };
    if (isNew) await createCluster(engine, cluster, runAs);
    return { engine, cluster };
  } catch (error) {
    throw describeSystemError(error, directory);
  }
}

/** Deletes a stopped cluster, wherever it lies. */
export async function removePostgresCluster(directory: string): Promise<void> {
  const link = join(directory, 'data');
  const data = await realpath(link).catch(() => undefined);
  if (data !== undefined && data.startsWith(`${SHARED_ROOT}/`))
    await rm(dirname(data), { recursive: true, force: true });
  await rm(directory, { recursive: true, force: true });
}

/** What the last start printed, from byte `offset` of the log. */
export async function readLogTail(path: string, offset: number): Promise<string> {
  try {
    return (await readFile(path)).subarray(offset).toString('utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return '';
    throw error;
  }
}
