/**
 * What runs now, on disk: `$SEELE_HOME/run/supervisor.json`, rewritten whole at every change. A
 * process whose id now belongs to something else (start times differ) counts as gone.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readJsonFile, replaceFile } from '../frame/files.ts';
import type { Home } from '../frame/home.ts';
import type { ChildStatus } from './child.ts';
import type { Ports } from './ports.ts';

export interface Identity {
  readonly pid: number;
  /** Kernel start time of the process, which a reused process id does not share. */
  readonly startTicks: string;
}

export interface RunState extends Identity {
  readonly startedAt: string;
  readonly phase: 'starting' | 'ready' | 'failed' | 'stopping';
  /** Why it failed, in one line. */
  readonly error?: { readonly code: string; readonly message: string };
  readonly ports: Ports;
  readonly urls: {
    readonly market: string;
    readonly node: string;
    readonly storage: string;
    /** Absent in what an earlier version wrote. */
    readonly gateway?: string;
  };
  readonly chain: string;
  readonly processes: readonly (ChildStatus & { readonly startTicks?: string })[];
}

/** Start time of a process in clock ticks since boot; empty when it does not run. */
export function processStartTicks(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? '' : (fields[19] ?? '');
  } catch {
    return withoutProc(pid);
  }
}

/** Without /proc only life can be told, not identity. */
function withoutProc(pid: number): string {
  if (process.platform === 'linux') return '';
  try {
    process.kill(pid, 0);
    return 'alive';
  } catch {
    return '';
  }
}

export function isAlive({ pid, startTicks }: Identity): boolean {
  return startTicks !== '' && processStartTicks(pid) === startTicks;
}

const pathOf = (home: Home) => join(home.run, 'supervisor.json');

export function writeRunState(home: Home, state: RunState): void {
  replaceFile(pathOf(home), `${JSON.stringify(state, null, 1)}\n`);
}

export function removeRunState(home: Home): void {
  rmSync(pathOf(home), { force: true });
}

/** The last state written, whether its supervisor still lives or not. */
export function lastRunState(home: Home): RunState | undefined {
  const state = readJsonFile<RunState>(pathOf(home));
  return state && typeof state.pid === 'number' && Array.isArray(state.processes)
    ? state
    : undefined;
}

/** The state of a supervisor that lives. */
export function liveRunState(home: Home): RunState | undefined {
  const state = lastRunState(home);
  return state && isAlive(state) ? state : undefined;
}

/** Processes that outlived their supervisor. */
export function orphans(home: Home): (Identity & { readonly name: string })[] {
  const state = lastRunState(home);
  if (!state || isAlive(state)) return [];
  return state.processes.flatMap(({ name, pid, startTicks }) =>
    pid !== undefined && startTicks !== undefined && isAlive({ pid, startTicks })
      ? [{ name, pid, startTicks }]
      : [],
  );
}
