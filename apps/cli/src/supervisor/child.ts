/**
 * One supervised process: started, awaited until it says `{"ready":true}` on stdout, restarted with
 * back-off when it dies, stopped with SIGTERM and, if it does not heed, SIGKILL.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
}

export type ChildState = 'starting' | 'ready' | 'restarting' | 'failed' | 'stopped';

export interface ChildStatus {
  readonly name: string;
  readonly state: ChildState;
  readonly pid?: number;
  readonly url?: string;
  readonly restarts: number;
  /** Last exit, in words, when it did not run to our order. */
  readonly reason?: string;
}

export interface SupervisedChild {
  readonly status: ChildStatus;
  start(): void;
  stop(graceMs: number): Promise<void>;
}

const BACKOFF_FIRST_MS = 200;
const BACKOFF_MAX_MS = 5_000;
/** A process that lived this long starts with a fresh back-off when it dies. */
const STABLE_MS = 10_000;
/** A process that never became ready gives up after so many attempts. */
const ATTEMPTS_BEFORE_READY = 3;

interface Life {
  readonly process: ChildProcess;
  readonly startedMs: number;
}

/** Supervises `spec`; `changed` is called after every change of `status`. */
export function superviseChild(
  spec: ProcessSpec,
  changed: (status: ChildStatus) => void,
): SupervisedChild {
  let status: ChildStatus = { name: spec.name, state: 'stopped', restarts: 0 };
  let life: Life | undefined;
  let stopping = false;
  let wasReady = false;
  let quickDeaths = 0;
  let timer: NodeJS.Timeout | undefined;

  const update = (change: Partial<ChildStatus>) => {
    status = { ...status, ...change };
    changed(status);
  };

  const start = () => {
    const log = openSync(spec.logFile, 'a', 0o600);
    const child = spawn(spec.command, spec.args, {
      env: spec.env,
      cwd: '/',
      stdio: ['ignore', 'pipe', log],
    });
    closeSync(log);
    life = { process: child, startedMs: performance.now() };
    if (!wasReady) update({ state: 'starting' });
    if (child.pid !== undefined) update({ pid: child.pid });
    if (child.stdout)
      createInterface({ input: child.stdout }).on('line', (line) => {
        const ready = readyLine(line);
        if (!ready) return;
        wasReady = true;
        update({ state: 'ready', ...(ready.url === undefined ? {} : { url: ready.url }) });
      });
    child.once('error', (error) => died(`could not be started: ${error.message}`));
    child.once('exit', (code, signal) =>
      died(signal ? `killed by ${signal}` : `exit code ${code}`),
    );
  };

  const died = (reason: string) => {
    if (!life) return;
    const livedMs = performance.now() - life.startedMs;
    life = undefined;
    if (stopping) return update({ state: 'stopped', reason });
    quickDeaths = livedMs > STABLE_MS ? 0 : quickDeaths + 1;
    if (!wasReady && quickDeaths >= ATTEMPTS_BEFORE_READY)
      return update({ state: 'failed', reason });
    update({ state: 'restarting', restarts: status.restarts + 1, reason });
    const delay = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (quickDeaths - 1));
    timer = setTimeout(start, delay);
  };

  const stop = async (graceMs: number) => {
    stopping = true;
    clearTimeout(timer);
    const child = life?.process;
    if (!child || child.exitCode !== null || child.signalCode !== null)
      return update({ state: 'stopped' });
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const last = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await gone;
    clearTimeout(last);
  };

  return {
    get status() {
      return status;
    },
    start,
    stop,
  };
}

/** The line by which a process says that it serves. */
function readyLine(line: string): { readonly url?: string } | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value = JSON.parse(line) as { ready?: unknown; url?: unknown };
    if (value.ready !== true) return undefined;
    return typeof value.url === 'string' ? { url: value.url } : {};
  } catch {
    return undefined;
  }
}
