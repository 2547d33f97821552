/**
 * An own PostgreSQL on loopback: started, watched and stopped by the process that uses it. Always
 * durable (fsync and synchronous_commit on, set on the command line so that no file turns them off),
 * password authentication, no Unix socket. When the owner dies the server shuts itself down.
 *
 * @example
 * const postgres = await startEmbeddedPostgres({ directory: join(home, 'postgres') });
 * // postgres.url → postgresql://postgres:…@127.0.0.1:40123/postgres
 * await postgres.stop();
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeSystemError, platformError } from '../errors.ts';
import { freePort } from '../free-ports.ts';
import {
  type PostgresCluster,
  explainPostgresFailure,
  preparePostgresCluster,
  readLogTail,
} from './postgres-directory.ts';
import { type PostgresEngine, preparePostgresEngine } from './postgres-engine.ts';
import { type RunAs, postgresUser } from './run-as.ts';

export interface EmbeddedPostgresOptions {
  /** Where data, password and log live; made when missing. */
  readonly directory: string;
  /** Fixed port; a free one is chosen when left out or 0. */
  readonly port?: number;
}

export interface EmbeddedPostgres {
  /** Connection string with the password: never log it. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves when the server ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** Fast shutdown; the data is closed cleanly when it resolves. */
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 4_000;
const PREDECESSOR_TIMEOUT_MS = 10_000;
const POLL_MS = 5;
const PORT_ATTEMPTS = 5;

/** Line numbers in postmaster.pid. */
const PID_LINE = 0;
const STATUS_LINE = 7;

const SERVER_SETTINGS: Readonly<Record<string, string>> = {
  max_connections: '200',
  jit: 'off',
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  // One process less per connection-free server: reads here are small.
  io_method: 'sync',
  max_wal_size: '256MB',
  log_min_messages: 'warning',
  log_line_prefix: '%m [%p] ',
  password_encryption: 'scram-sha-256',
};

async function pidFileLines(data: string): Promise<readonly string[]> {
  return (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** True when `pid` is a PostgreSQL server on this very cluster, not a process that got its number. */
async function isServerOf(pid: number, data: string): Promise<boolean> {
  if (!isAlive(pid)) return false;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
  return commandLine === undefined ? process.platform !== 'linux' : commandLine.includes(data);
}

/** The server of an owner that died may still be shutting down: wait, then insist. */
async function endPredecessor(data: string): Promise<void> {
  const pid = Number((await pidFileLines(data))[PID_LINE] ?? '');
  if (!Number.isSafeInteger(pid) || pid <= 1) return;
  const deadline = performance.now() + PREDECESSOR_TIMEOUT_MS;
  for (let signal: NodeJS.Signals = 'SIGINT'; await isServerOf(pid, data); signal = 'SIGQUIT') {
    process.kill(pid, signal);
    const until = signal === 'SIGINT' ? performance.now() + STOP_TIMEOUT_MS : deadline;
    while (performance.now() < until && (await isServerOf(pid, data))) await sleep(POLL_MS);
    if (signal === 'SIGQUIT' && (await isServerOf(pid, data)))
      throw platformError('PLATFORM_POSTGRES_FAILED', `PostgreSQL ${pid} on ${data} does not end`);
  }
}

/** Ends the server when we die without a word: our end of its pipe closes. */
function watchOwner(serverPid: number, runAs: RunAs): ChildProcess {
  const watcher = spawn('/bin/sh', ['-c', `read _; kill -INT ${serverPid}`], {
    ...runAs.other,
    cwd: '/',
    env: {},
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watcher.on('error', () => undefined);
  watcher.unref();
  (watcher.stdin as unknown as { unref?(): void } | null)?.unref?.();
  return watcher;
}

function spawnServer(engine: PostgresEngine, cluster: PostgresCluster, port: number, runAs: RunAs) {
  const settings = Object.entries(SERVER_SETTINGS).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ]);
  const log = openSync(cluster.logFile, 'a', 0o600);
  try {
    return spawn(
      engine.postgres,
      ['-D', cluster.data, '-p', String(port), '-h', '127.0.0.1', '-k', '', ...settings],
      // Detached: a Ctrl-C in the terminal must reach us first, so that we stop it in order.
      {
        ...runAs.other,
        cwd: '/',
        env: { LC_ALL: 'C' },
        stdio: ['ignore', log, log],
        detached: true,
      },
    );
  } finally {
    closeSync(log);
  }
}

type Started = { readonly child: ChildProcess; readonly ended: Promise<void> };

async function startOnce(
  engine: PostgresEngine,
  cluster: PostgresCluster,
  port: number,
  runAs: RunAs,
): Promise<Started | string> {
  const offset = await stat(cluster.logFile).then(
    ({ size }) => size,
    () => 0,
  );
  const child = spawnServer(engine, cluster, port, runAs);
  const life = { ended: false };
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      life.ended = true;
      resolve();
    };
    child.once('exit', end).once('error', end);
  });
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!life.ended) {
    const lines = await pidFileLines(cluster.data);
    if (Number(lines[PID_LINE]) === child.pid && lines[STATUS_LINE]?.trim() === 'ready')
      return { child, ended };
    if (performance.now() > deadline) {
      child.kill('SIGQUIT');
      break;
    }
    await sleep(POLL_MS);
  }
  await ended;
  return readLogTail(cluster.logFile, offset);
}

/** Tries again where trying helps: a port taken meanwhile, backends of a killed server still ending. */
async function startServer(
  engine: PostgresEngine,
  cluster: PostgresCluster,
  wantedPort: number,
  runAs: RunAs,
): Promise<Started & { port: number }> {
  const deadline = performance.now() + PREDECESSOR_TIMEOUT_MS;
  for (let attempt = 1; ; attempt++) {
    const port = wantedPort === 0 ? await freePort() : wantedPort;
    const started = await startOnce(engine, cluster, port, runAs);
    if (typeof started !== 'string') return { ...started, port };
    const portTaken = /Address already in use/i.test(started);
    const stillEnding = /shared memory block .* is still in use|lock file .* already exists/i.test(
      started,
    );
    const again =
      (portTaken && wantedPort === 0 && attempt < PORT_ATTEMPTS) ||
      (stillEnding && performance.now() < deadline);
    if (!again)
      throw explainPostgresFailure(started, portTaken ? `127.0.0.1:${port}` : cluster.data);
    await sleep(100);
  }
}

/**
 * Starts the PostgreSQL of `directory`, creating it the first time.
 *
 * @throws PLATFORM_POSTGRES_MISSING, PLATFORM_POSTGRES_FAILED, PLATFORM_PORT_IN_USE,
 *   PLATFORM_PERMISSION, PLATFORM_DISK_FULL, PLATFORM_SECRET_LOOSE
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const runAs = postgresUser();
  const { engine, cluster } = await preparePostgresCluster(options.directory, runAs, (base) =>
    preparePostgresEngine(base, runAs),
  );
  await endPredecessor(cluster.data);
  const { child, ended, port } = await startServer(engine, cluster, options.port ?? 0, runAs).catch(
    (error: unknown) => {
      throw describeSystemError(error, cluster.data);
    },
  );
  const pid = child.pid as number;
  const watcher = watchOwner(pid, runAs);
  void ended.then(() => watcher.kill('SIGKILL'));
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    child.kill('SIGINT');
    const timer = setTimeout(() => child.kill('SIGQUIT'), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  };
  return {
    url: `postgresql://postgres:${cluster.password}@127.0.0.1:${port}/postgres`,
    port,
    pid,
    ended,
    stop: () => (stopped ??= stop()),
  };
}
