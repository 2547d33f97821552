/**
 * What runs now, on disk: `$SEELE_HOME/run/<process>.json`. A file whose process is gone, or whose
 * process id now belongs to something else (start times differ), is stale and counts as not running.
 */
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Home } from '../frame/home.ts';
import { readJsonFile, replaceFile } from '../frame/files.ts';

export interface RunFile {
  readonly name: string;
  readonly pid: number;
  /** Kernel start time of the process, which a reused process id does not share. */
  readonly startTicks: string;
  readonly startedAt: string;
  readonly url?: string;
}

/** Start time of a process in clock ticks since boot; empty when it does not run. */
export function processStartTicks(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? '' : (fields[19] ?? '');
  } catch {
    return portableStart(pid);
  }
}

/** Without /proc only life can be told, not identity. */
function portableStart(pid: number): string {
  if (process.platform === 'linux') return '';
  try {
    process.kill(pid, 0);
    return 'alive';
  } catch {
    return '';
  }
}

export function isRunning(file: Pick<RunFile, 'pid' | 'startTicks'>): boolean {
  return file.startTicks !== '' && processStartTicks(file.pid) === file.startTicks;
}

function pathOf(home: Home, name: string): string {
  return join(home.run, `${name}.json`);
}

export function writeRunFile(home: Home, file: RunFile): void {
  replaceFile(pathOf(home, file.name), `${JSON.stringify(file)}\n`);
}

export function removeRunFile(home: Home, name: string): void {
  rmSync(pathOf(home, name), { force: true });
}

/** The run file of a live process; a stale one counts as none. */
export function readRunFile(home: Home, name: string): RunFile | undefined {
  const file = readJsonFile<RunFile>(pathOf(home, name));
  return file && typeof file.pid === 'number' && isRunning(file) ? file : undefined;
}

/** Every live process of this home. */
export function runningProcesses(home: Home): RunFile[] {
  let names: string[];
  try {
    names = readdirSync(home.run);
  } catch {
    return [];
  }
  return names
    .filter((name) => name.endsWith('.json') && name !== 'state.json')
    .flatMap((name) => readRunFile(home, name.slice(0, -'.json'.length)) ?? []);
}
