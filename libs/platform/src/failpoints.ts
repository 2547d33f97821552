/**
 * Failpoints: named places where a test can make the process die, stall or fail. Unset they cost one
 * comparison. `SEELE_FAILPOINTS='market.accept.after-commit=kill@2,storage.put=sleep:500,x=error'`:
 * `@2` fires at the second hit only; without it every hit fires.
 *
 * `kill` is SIGKILL to itself: nothing is flushed, no handler runs. `stop` is SIGSTOP to itself, until
 * somebody sends SIGCONT. `sleep` blocks the whole process for so long. `error` throws
 * PLATFORM_FAILPOINT.
 *
 * `SEELE_FAILPOINTS_FILE` names a file that may hold one such point and be written while processes
 * run. The process that strikes takes the file away first (renames it to `<file>.struck`, its pid in
 * it), so of all processes, restarts included, one strikes once.
 *
 * @example
 * declareFailpoints('market.accept.before-commit', 'market.accept.after-commit');
 * failpoint('market.accept.before-commit');
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { platformError } from './errors.ts';

interface Armed {
  readonly action: 'kill' | 'stop' | 'sleep' | 'error';
  readonly sleepMs: number;
  /** Fires at this hit only; 0 means at every one. */
  readonly at: number;
  hits: number;
}

const SYNTAX = /^([a-z0-9.-]+)=(?:(kill|stop|error)|sleep:(\d{1,6}))(?:@(\d{1,6}))?$/;

const declared = new Set<string>();
let armed: Map<string, Armed> | undefined;
/** Where a point may be armed while the process runs, and the hits of the text last seen there. */
let file: { readonly path: string; text: string; hits: number } | undefined;

/**
 * Arms failpoints; an empty or missing text disarms all.
 *
 * @throws PLATFORM_SETTINGS_INVALID when the text is not understood
 */
export function armFailpoints(spec: string | undefined): void {
  armed = undefined;
  if (spec === undefined || spec.trim() === '') return;
  armed = parseFailpoints(spec);
}

/** Points are also read from this file, at every hit; undefined ends that. */
export function watchFailpointsFile(path: string | undefined): void {
  file = path === undefined || path === '' ? undefined : { path, text: '', hits: 0 };
}

function parseFailpoints(spec: string): Map<string, Armed> {
  const next = new Map<string, Armed>();
  for (const part of spec.split(',')) {
    const match = SYNTAX.exec(part.trim());
    if (!match)
      throw platformError(
        'PLATFORM_SETTINGS_INVALID',
        `SEELE_FAILPOINTS: ${JSON.stringify(part)} is not name=kill|stop|error|sleep:MS[@HIT]`,
      );
    next.set(match[1] as string, {
      action: (match[2] as 'kill' | 'stop' | 'error' | undefined) ?? 'sleep',
      sleepMs: Number(match[3] ?? 0),
      at: Number(match[4] ?? 0),
      hits: 0,
    });
  }
  return next;
}

/** Registers names, so that a test can walk every place without reading the code. */
export function declareFailpoints(...names: readonly string[]): void {
  for (const name of names) declared.add(name);
}

/** Every name declared by the loaded modules, sorted. */
export function declaredFailpoints(): readonly string[] {
  return [...declared].sort();
}

function fire(name: string, point: Armed): void {
  point.hits += 1;
  if (point.at !== 0 && point.hits !== point.at) return;
  strike(name, point);
}

/** Strikes if the file names this place and this process is the first to take the file. */
function fireFromFile(name: string, armedBy: NonNullable<typeof file>): void {
  if (!existsSync(armedBy.path)) return;
  try {
    const text = readFileSync(armedBy.path, 'utf8');
    const point = parseFailpoints(text).get(name);
    if (point === undefined) return;
    armedBy.hits = text === armedBy.text ? armedBy.hits + 1 : 1;
    armedBy.text = text;
    if (point.at !== 0 && armedBy.hits < point.at) return;
    const claim = `${armedBy.path}.${process.pid}`;
    renameSync(armedBy.path, claim);
    writeFileSync(claim, String(process.pid));
    renameSync(claim, `${armedBy.path}.struck`);
    strike(name, point);
  } catch (error) {
    // Another process took it in between.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function strike(name: string, point: Armed): void {
  if (point.action === 'stop') return void process.kill(process.pid, 'SIGSTOP');
  if (point.action === 'kill') process.kill(process.pid, 'SIGKILL');
  // After SIGKILL the thread may run on for a moment: it must not get past this place.
  const stallMs = point.action === 'kill' ? 10_000 : point.sleepMs;
  if (point.action === 'error') throw platformError('PLATFORM_FAILPOINT', `failpoint ${name}`);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stallMs);
}

/** A place where `SEELE_FAILPOINTS` may strike. @throws PLATFORM_FAILPOINT when armed to */
export function failpoint(name: string): void {
  if (armed !== undefined) {
    const point = armed.get(name);
    if (point !== undefined) fire(name, point);
  }
  if (file !== undefined) fireFromFile(name, file);
}

armFailpoints(process.env['SEELE_FAILPOINTS']);
watchFailpointsFile(process.env['SEELE_FAILPOINTS_FILE']);
