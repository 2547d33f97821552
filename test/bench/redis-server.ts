/** A Redis of our own on a free port, where the machine has one: nothing of it stays. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../support/own-process.ts';

const START_MS = 5_000;

export interface OwnRedis {
  readonly url: string;
  stop(): void;
}

/** Durable as Redis is by its own presets for queues: append-only, synced every second. */
export async function startRedis(): Promise<OwnRedis | undefined> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'seele-redis-'));
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
  const child: ChildProcess = spawn(
    'redis-server',
    [...args, '--appendonly', 'yes', '--save', ''],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const stop = (): void => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };
  let isReady = false;
  let isMissing = false;
  child.once('error', () => (isMissing = true));
  child.stdout?.on('data', (text: Buffer) => {
    isReady ||= text.toString().includes('Ready to accept connections');
  });
  for (let waited = 0; waited < START_MS && !isMissing; waited += 50) {
    if (isReady) return { url: `redis://127.0.0.1:${port}`, stop };
    await sleep(50);
  }
  stop();
  return undefined;
}
