/** A Redis of our own on a free port, where the machine has one: nothing of it stays. */
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './own-process.ts';
import { mustEnd, temporaryFolder } from './started.ts';

const START_MS = 5_000;

export interface OwnRedis {
  readonly url: string;
  /** SIGKILL, and another one in its place that knows nothing: a fail-over to a replica that was behind. */
  failOver(): Promise<void>;
  /** How many keys it has: none when nobody uses it. */
  keys(): Promise<number>;
  stop(): void;
}

/** Durable as Redis is by its own presets for queues: append-only, synced every second. */
async function startServer(port: number): Promise<(() => void) | undefined> {
  const folder = temporaryFolder('seele-redis-');
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
  const child: ChildProcess = spawn(
    'redis-server',
    [...args, '--appendonly', 'yes', '--save', ''],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const end = mustEnd(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  const stop = (): void => void end();
  let isReady = false;
  let isMissing = false;
  child.once('error', () => (isMissing = true));
  child.stdout?.on('data', (text: Buffer) => {
    isReady ||= text.toString().includes('Ready to accept connections');
  });
  for (let waited = 0; waited < START_MS && !isMissing; waited += 50) {
    if (isReady) return stop;
    await sleep(50);
  }
  stop();
  return undefined;
}

/** One inline command whose answer is a number. */
function askNumber(port: number, command: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${command}\r\n`));
    socket.once('error', reject);
    socket.once('data', (answer) => {
      socket.destroy();
      resolve(Number(answer.toString().slice(1)));
    });
  });
}

/** Undefined where there is no redis-server. */
export async function startRedis(): Promise<OwnRedis | undefined> {
  const port = await freePort();
  let stop = await startServer(port);
  if (!stop) return undefined;
  return {
    url: `redis://127.0.0.1:${port}`,
    async failOver() {
      stop?.();
      await sleep(500);
      stop = await startServer(port);
      if (!stop) throw new Error('redis does not start again');
    },
    keys: () => askNumber(port, 'DBSIZE'),
    stop: () => stop?.(),
  };
}
