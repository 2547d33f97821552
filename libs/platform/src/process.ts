/**
 * The life of one process of Seele: start, say where it serves, stop within five seconds, and put
 * every failure to start into one clear line. Used by every app's main.ts.
 *
 * @example
 * await runProcess({ name: 'market', home, logger, start: async () => ({ url, stop }) });
 */
import { rm } from 'node:fs/promises';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { isMainThread, parentPort } from 'node:worker_threads';
import { isSeeleError } from '#libs/kernel';
import { describeSystemError } from './errors.ts';
import type { Logger } from './logger.ts';
import { ensurePrivateDirectory, writeFileAtomic } from './private-files.ts';
import {
  type Declarations,
  type SettingsDefinition,
  type SettingsOf,
  loadSettings,
} from './settings.ts';

/** A process that has not stopped by then is ended. */
export const STOP_LIMIT_MS = 5_000;
const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;
/** What `stop` may use before the process is ended for it. */
const STOP_GRACE_MS = 4_500;
const CACHE_FLUSH_MS = 2_000;

export interface RunningService {
  /** Where it serves. */
  readonly url: string;
  /** Further facts for the ready line. */
  readonly facts?: Readonly<Record<string, string | number>>;
  /** Stops taking work, finishes or parks what runs, releases everything. */
  stop(): Promise<void>;
}

export interface ProcessOptions {
  /** Name in logs and in `$SEELE_HOME/run/<name>.json`. */
  readonly name: string;
  /** SEELE_HOME. */
  readonly home: string;
  readonly logger: Logger;
  start(): Promise<RunningService>;
}

/** One line for a person: what is wrong, its code, what to do. */
export function errorLine(error: unknown): string {
  const { path } = (error ?? {}) as { path?: unknown };
  const shown = describeSystemError(error, typeof path === 'string' ? path : 'the system');
  if (isSeeleError(shown)) return `${shown.message} (${shown.code}). ${shown.fix}`;
  return shown.message;
}

/** The app's settings; wrong ones are one line on stderr and exit code 1. */
export function settingsOrExit<D extends Declarations>(
  definition: SettingsDefinition<D>,
): SettingsOf<SettingsDefinition<D>> {
  try {
    return loadSettings(definition);
  } catch (error) {
    process.stderr.write(`${definition.app}: ${errorLine(error)}\n`);
    process.exit(1);
  }
}

/** Where a running process notes its pid and address. */
export function runFile(home: string, name: string): string {
  return join(home, 'run', `${name}.json`);
}

/**
 * Ends the process after a failure that only a restart can judge, such as a commit whose outcome is
 * unknown. Nothing is flushed on purpose: what was acknowledged is on disk already.
 */
export function endProcess(logger: Logger, error: unknown, why: string): never {
  logger.fatal({ err: error }, why);
  process.exit(1);
}

function onSignals(stop: (signal: string) => void): void {
  // A worker thread gets no signals: the main thread passes them on.
  if (!isMainThread) parentPort?.once('message', (signal: string) => stop(signal));
  else for (const signal of STOP_SIGNALS) process.once(signal, () => stop(signal));
}

/**
 * Starts a service, prints `{"ready":true,"url":…}` on stdout, and stops it on SIGTERM or SIGINT.
 * A failure to start is printed as one line on stderr; the exit code is then 1.
 */
export async function runProcess(options: ProcessOptions): Promise<void> {
  const { name, home, logger } = options;
  process.once('uncaughtException', (error) => endProcess(logger, error, 'uncaught exception'));
  process.once('unhandledRejection', (error) => endProcess(logger, error, 'unhandled rejection'));
  const noted = runFile(home, name);
  let service: RunningService | undefined;
  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal }, 'stopping');
    setTimeout(() => endProcess(logger, undefined, 'did not stop in time'), STOP_GRACE_MS).unref();
    try {
      await service?.stop();
      await rm(noted, { force: true });
      process.exit(0);
    } catch (error) {
      endProcess(logger, error, 'could not stop cleanly');
    }
  };
  onSignals((signal) => void stop(signal));
  try {
    await ensurePrivateDirectory(join(home, 'run'));
    service = await options.start();
    const { url, facts } = service;
    const startedAt = new Date().toISOString();
    await writeFileAtomic(noted, `${JSON.stringify({ pid: process.pid, url, startedAt })}\n`);
    process.stdout.write(`${JSON.stringify({ ready: true, url, ...facts })}\n`);
    // Node writes its compile cache (NODE_COMPILE_CACHE) at exit; a killed process never gets there.
    setTimeout(flushCompileCache, CACHE_FLUSH_MS).unref();
  } catch (error) {
    if (stopping) return;
    process.stderr.write(`${name}: ${errorLine(error)}\n`);
    logger.debug({ err: error }, 'failed to start');
    process.exit(1);
  }
}
