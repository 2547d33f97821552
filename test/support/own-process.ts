/** One process of Seele that a test starts, kills and starts again by itself, without a supervisor. */
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from './app-process.ts';
import { mustEnd } from './started.ts';

export { freePort } from '#libs/platform';

const START_MS = 60_000;

export interface OwnProcess {
  readonly pid: number;
  /** Ends it at once, and waits until it is gone. */
  kill(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>;
}

function isReady(child: ChildProcess): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stdout?.on('data', (bytes: Buffer) => {
      said += bytes.toString();
      if (said.includes('"ready":true')) resolve(true);
    });
    child.once('error', reject);
    child.once('exit', () => resolve(false));
  });
}

/** Starts the app and waits until it serves. What it logs goes to `logFile`. */
export async function startOwnProcess(
  app: App,
  env: Readonly<Record<string, string>>,
  logFile: string,
): Promise<OwnProcess> {
  const child = spawn(process.execPath, [join(process.cwd(), `dist/apps/${app}/src/main.js`)], {
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_COMPILE_CACHE: join(process.cwd(), 'node_modules/.cache/compiled'),
      ...env,
    },
    cwd: '/',
    stdio: ['ignore', 'pipe', openSync(logFile, 'a', 0o600)],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const kill = async (signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await ended;
  };
  const forget = mustEnd(() => kill());
  child.once('close', () => void forget());
  const ready = await Promise.race([isReady(child), sleep(START_MS, false, { ref: false })]);
  if (!ready || child.pid === undefined) {
    await kill();
    throw new Error(`${app} does not start; see ${logFile}`);
  }
  return { pid: child.pid, kill };
}
