/** What the kernel says about another process: the only source of usage and memory figures. */
import { readFileSync, readdirSync } from 'node:fs';

export interface ProcessFacts {
  readonly cpuMs: number;
  readonly residentBytes: number;
}

/** USER_HZ: fixed at 100 for programs on every Linux architecture that Node supports. */
const TICK_MS = 10;
const AT_PAGESZ = 6n;

function pageBytes(): number {
  const vector = readFileSync('/proc/self/auxv');
  for (let at = 0; at + 16 <= vector.length; at += 16)
    if (vector.readBigUInt64LE(at) === AT_PAGESZ) return Number(vector.readBigUInt64LE(at + 8));
  return 4096;
}

let knownPageBytes: number | undefined;

/** CPU time (10 ms steps) and resident memory; `undefined` when the process is gone. proc_pid_stat(5). */
export function processFacts(pid: number): ProcessFacts | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name, in brackets, may hold anything; fields are counted after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    knownPageBytes ??= pageBytes();
    return {
      cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
      residentBytes: Number(fields[21]) * knownPageBytes,
    };
  } catch {
    return undefined;
  }
}

/** CPU time of all live threads in milliseconds, nanosecond source; `undefined` where not available. */
export function preciseCpuMs(pid: number): number | undefined {
  try {
    let nanoseconds = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1');
      nanoseconds += Number(text.split(' ')[0]);
    }
    return nanoseconds / 1e6;
  } catch {
    return undefined;
  }
}

/** CPU time of a process by both clocks that there are. */
export interface CpuReading {
  /** Of all threads there ever were; 10 ms steps. */
  readonly cpuMs: number;
  /** Of the threads alive; exact. */
  readonly preciseMs?: number;
}

export function readCpu(pid: number): CpuReading | undefined {
  const facts = processFacts(pid);
  if (facts === undefined) return undefined;
  const preciseMs = preciseCpuMs(pid);
  return { cpuMs: facts.cpuMs, ...(preciseMs === undefined ? {} : { preciseMs }) };
}

/** A figure of /proc/<pid>/status in bytes, e.g. `VmHWM` (peak resident) or `VmData`. */
export function statusBytes(pid: number, name: string): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const match = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status);
    return match === null ? undefined : Number(match[1]) * 1024;
  } catch {
    return undefined;
  }
}

/** Parent of a process; `undefined` when it is gone. */
function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}

/** The kernel's own list of children, where it has one. */
function childrenOf(pid: number): number[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1');
    return text.trim() === '' ? [] : text.trim().split(' ').map(Number);
  } catch {
    return undefined;
  }
}

/**
 * Follows only children down from `pid`: past the wrappers that fork (pid namespaces), to the program
 * they started. Only before that program had children of its own.
 */
export function innermostProcess(pid: number): number {
  let at = pid;
  for (let depth = 0; depth < 8; depth++) {
    const [child] =
      childrenOf(at) ??
      readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === at);
    if (child === undefined) return at;
    at = Number(child);
  }
  return at;
}
