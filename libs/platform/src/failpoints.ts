/**
 * Failpoints: named places where a test can make the process die, stall or fail. Unset they cost one
 * comparison. `SEELE_FAILPOINTS='market.accept.after-commit=kill@2,storage.put=sleep:500,x=error'`:
 * `@2` fires at the second hit only; without it every hit fires.
 *
 * `kill` is SIGKILL to itself: nothing is flushed, no handler runs. `sleep` blocks the whole process,
 * like SIGSTOP for that long. `error` throws PLATFORM_FAILPOINT.
 *
 * @example
 * declareFailpoints('market.accept.before-commit', 'market.accept.after-commit');
 * failpoint('market.accept.before-commit');
 */
import { platformError } from './errors.ts';

interface Armed {
  readonly action: 'kill' | 'sleep' | 'error';
  readonly sleepMs: number;
  /** Fires at this hit only; 0 means at every one. */
  readonly at: number;
  hits: number;
}

const SYNTAX = /^([a-z0-9.-]+)=(?:(kill|error)|sleep:(\d{1,6}))(?:@(\d{1,6}))?$/;

const declared = new Set<string>();
let armed: Map<string, Armed> | undefined;

/**
 * Arms failpoints; an empty or missing text disarms all.
 *
 * @throws PLATFORM_SETTINGS_INVALID when the text is not understood
 */
export function armFailpoints(spec: string | undefined): void {
  armed = undefined;
  if (spec === undefined || spec.trim() === '') return;
  const next = new Map<string, Armed>();
  for (const part of spec.split(',')) {
    const match = SYNTAX.exec(part.trim());
    if (!match)
      throw platformError(
        'PLATFORM_SETTINGS_INVALID',
        `SEELE_FAILPOINTS: ${JSON.stringify(part)} is not name=kill|error|sleep:MS[@HIT]`,
      );
    next.set(match[1] as string, {
      action: (match[2] as 'kill' | 'error' | undefined) ?? 'sleep',
      sleepMs: Number(match[3] ?? 0),
      at: Number(match[4] ?? 0),
      hits: 0,
    });
  }
  armed = next;
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
  if (point.action === 'kill') process.kill(process.pid, 'SIGKILL');
  // After SIGKILL the thread may run on for a moment: it must not get past this place.
  const stallMs = point.action === 'kill' ? 10_000 : point.sleepMs;
  if (point.action === 'error') throw platformError('PLATFORM_FAILPOINT', `failpoint ${name}`);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stallMs);
}

/** A place where `SEELE_FAILPOINTS` may strike. @throws PLATFORM_FAILPOINT when armed to */
export function failpoint(name: string): void {
  if (armed === undefined) return;
  const point = armed.get(name);
  if (point !== undefined) fire(name, point);
}

armFailpoints(process.env['SEELE_FAILPOINTS']);
