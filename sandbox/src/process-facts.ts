/** What the kernel says about another process: the only source of usage and memory figures. */
import { closeSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs';

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

/** What /proc/<pid>/stat says, from the third field on; `undefined` for a process that has ended. */
function statFields(stat: string): readonly string[] | undefined {
  // The name, in brackets, may hold anything; fields are counted after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields;
}

function factsOf(fields: readonly string[]): ProcessFacts {
  knownPageBytes ??= pageBytes();
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
    residentBytes: Number(fields[21]) * knownPageBytes,
  };
}

/** CPU time (10 ms steps) and resident memory; `undefined` when the process is gone. proc_pid_stat(5). */
export function processFacts(pid: number): ProcessFacts | undefined {
  try {
    const fields = statFields(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    return fields && factsOf(fields);
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

/**
 * The same of one process, asked again and again: its files stay open, because opening them costs more
 * than reading. Says nothing of a process that took the same number later.
 */
export class ProcessGauge {
  readonly #pid: number;
  readonly #room = Buffer.allocUnsafe(8_192);
  readonly #files = new Map<string, number>();
  #threads: readonly string[] = [];
  #isClosed = false;

  constructor(pid: number) {
    this.#pid = pid;
  }

  get facts(): ProcessFacts | undefined {
    const fields = this.#stat();
    return fields && factsOf(fields);
  }

  cpu(): CpuReading | undefined {
    const fields = this.#stat();
    if (!fields) return undefined;
    const preciseMs = this.#preciseMs(Number(fields[17]));
    return { cpuMs: factsOf(fields).cpuMs, ...(preciseMs !== undefined && { preciseMs }) };
  }

  /** As `statusBytes`. */
  bytes(name: string): number | undefined {
    const status = this.#read('status');
    return status === undefined ? undefined : bytesIn(status, name);
  }

  close(): void {
    this.#isClosed = true;
    for (const file of this.#files.values()) closeSync(file);
    this.#files.clear();
  }

  #stat(): readonly string[] | undefined {
    const stat = this.#read('stat');
    return stat === undefined ? undefined : statFields(stat);
  }

  /** A thread that came or went shows in their number, or by its file. */
  #preciseMs(threads: number): number | undefined {
    if (threads !== this.#threads.length) this.#listThreads();
    let nanoseconds = 0;
    for (const thread of this.#threads) {
      const text = this.#read(`task/${thread}/schedstat`);
      if (text !== undefined) nanoseconds += Number(text.slice(0, text.indexOf(' ')));
      else this.#threads = [];
    }
    return nanoseconds === 0 ? undefined : nanoseconds / 1e6;
  }

  #listThreads(): void {
    for (const [name, file] of this.#files)
      if (name.startsWith('task/')) {
        closeSync(file);
        this.#files.delete(name);
      }
    try {
      this.#threads = readdirSync(`/proc/${this.#pid}/task`);
    } catch {
      this.#threads = [];
    }
  }

  #read(name: string): string | undefined {
    if (this.#isClosed) return undefined;
    try {
      let file = this.#files.get(name);
      if (file === undefined) {
        file = openSync(`/proc/${this.#pid}/${name}`, 'r');
        this.#files.set(name, file);
      }
      return this.#room.toString('latin1', 0, readSync(file, this.#room, 0, this.#room.length, 0));
    } catch {
      return undefined;
    }
  }
}

function bytesIn(status: string, name: string): number | undefined {
  const at = status.indexOf(`\n${name}:`);
  const kilobytes = at < 0 ? Number.NaN : Number.parseInt(status.slice(at + name.length + 2), 10);
  return Number.isNaN(kilobytes) ? undefined : kilobytes * 1024;
}

/** A figure of /proc/<pid>/status in bytes, e.g. `VmHWM` (peak resident) or `VmData`. */
export function statusBytes(pid: number, name: string): number | undefined {
  try {
    return bytesIn(readFileSync(`/proc/${pid}/status`, 'latin1'), name);
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
