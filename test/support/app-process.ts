/** One process of Seele by itself, as a supervisor would start it; for tests of how it starts and fails. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

export type App = 'node' | 'market' | 'storage' | 'postgres' | 'provider';
export const APPS: readonly App[] = ['node', 'market', 'storage', 'postgres', 'provider'];

export interface FailedStart {
  /** Exit code; null when it was killed, because it served or took too long. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const LIMIT_MS = 30_000;

/** Starts the app and waits for its end; one that says it is ready is stopped. */
export function startAndFail(
  app: App,
  env: Readonly<Record<string, string>>,
  uid?: number,
): Promise<FailedStart> {
  const child = spawn(process.execPath, [join(process.cwd(), `dist/apps/${app}/src/main.js`)], {
    env: { PATH: process.env['PATH'] ?? '', SEELE_LOG_LEVEL: 'silent', ...env },
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid !== undefined && { uid, gid: uid }),
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (bytes: Buffer) => {
    said.stdout += bytes.toString();
    if (said.stdout.includes('"ready"')) child.kill('SIGTERM');
  });
  child.stderr.on('data', (bytes: Buffer) => (said.stderr += bytes.toString()));
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, ...said });
    });
  });
}
