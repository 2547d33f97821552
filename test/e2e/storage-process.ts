/** Starts the real storage process in a folder of its own, for tests and benches. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { create, type KuboRPCClient } from 'kubo-rpc-client';

const MAIN = join(import.meta.dirname, '..', '..', 'dist', 'apps', 'storage', 'src', 'main.js');
/** From `dist/test/e2e` the way is one folder longer. */
const main = MAIN.includes(join('dist', 'dist'))
  ? MAIN.replace(join('dist', 'dist'), 'dist')
  : MAIN;

export interface StorageProcess {
  readonly pid: number;
  readonly url: string;
  readonly token: string;
  /** Of its gateway, when `SEELE_STORAGE_GATEWAY` starts one. */
  readonly gateway: string;
  /** SEELE_HOME of the process. */
  readonly home: string;
  readonly client: KuboRPCClient;
  readonly stderr: () => string;
  /** SIGKILL, and wait until it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** Stops it if it runs, and removes its folder. */
  discard(): Promise<void>;
}

export interface StorageProcessOptions {
  readonly home?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const kuboClient = (url: string, token: string) =>
  create({ url: `${url}/api/v0`, headers: { authorization: `Bearer ${token}` } });

/** Rejects with what the process wrote to stderr when it does not come up. */
export async function startStorage(options: StorageProcessOptions = {}): Promise<StorageProcess> {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), 'seele-storage-')));
  const env = { ...process.env, NODE_OPTIONS: '', SEELE_HOME: home, SEELE_STORAGE_PORT: '0' };
  const child = spawn(process.execPath, [main], {
    env: { ...env, SEELE_LOG_LEVEL: 'error', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exited = once(child, 'exit');
  const ready = await Promise.race([
    once(createInterface(child.stdout), 'line').then(([line]) => JSON.parse(String(line))),
    exited.then(() => Promise.reject(new Error(stderr))),
  ]);
  const { url } = ready as { url: string };
  const token =
    options.env?.['SEELE_STORAGE_TOKEN'] ??
    (await readFile(join(home, 'storage', 'token'), 'utf8')).trim();
  const gateway = await readFile(join(home, 'storage', 'gateway'), 'utf8').catch(() => '');
  return {
    pid: child.pid ?? 0,
    url,
    token,
    gateway: gateway.trim(),
    home,
    client: kuboClient(url, token),
    stderr: () => stderr,
    ...lifeOf(child, exited, home),
  };
}

function lifeOf(child: ChildProcess, exited: Promise<unknown>, home: string) {
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
    return child.exitCode;
  };
  return {
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
    discard: async () => {
      await end('SIGTERM');
      await rm(home, { recursive: true, force: true });
    },
  };
}
