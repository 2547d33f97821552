/**
 * A verifiable job in WebAssembly: a WASI preview1 command without paths and sockets. Inputs are
 * file descriptors (0 is the first input, 3 + i is input i), standard output is the job's output,
 * standard error its log. Clock and randomness are fixed by the job.
 * Spec: https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md
 */
import { type Bytes, concatBytes, utf8 } from '#libs/kernel';
import { vmError } from '../errors.ts';
import { injectFuel } from '../wasm/inject.ts';
import { GuestAbort, type HostImports, MeteredInstance } from '../wasm/metered-instance.ts';
import { JobRun } from './job-run.ts';
import { JOB_HOST_FUEL, type JobSurroundings } from './recorder.ts';
import type { JobTerms, JobVerdict, RunOptions } from './verifiable-job.ts';

/** 4 GiB is the most a 32-bit memory can have; jobs get 1 GiB. */
const MEMORY_PAGES_MAX = 16_384;
const PAGE_BYTES = 65_536;
const FIRST_INPUT_FD = 3;

const ERRNO = { success: 0, badf: 8, inval: 28, nosys: 52, spipe: 70 } as const;
const FILETYPE = { characterDevice: 2, regularFile: 4 } as const;
const RIGHTS_READ_SEEK = 0x2n | 0x4n | 0x20n;
const RIGHTS_WRITE = 0x40n;

/** `proc_exit` ends the program from anywhere. */
class ProgramExit extends GuestAbort {
  readonly code: number;

  constructor(code: number) {
    super(`exit code ${code}`);
    this.code = code;
  }
}

function programExit(reason: GuestAbort): number {
  return reason instanceof ProgramExit ? reason.code : 0;
}

export class WasiJob {
  readonly #instance: MeteredInstance;
  readonly #surroundings: JobSurroundings;
  readonly #run: JobRun;
  readonly #offsets = new Map<number, number>();
  readonly #args: readonly Bytes[];
  #stderr: Bytes = new Uint8Array();

  constructor(code: Bytes, surroundings: JobSurroundings, terms: JobTerms, options: RunOptions) {
    if (options.from)
      throw vmError('VM_PROGRAM_INVALID', 'a WebAssembly job can only start at its beginning');
    this.#surroundings = surroundings;
    this.#args = ['job', surroundings.params].map((arg) => utf8(`${arg}\0`));
    const bytes = checkWasiModule(code, terms.memoryBytes);
    this.#instance = new MeteredInstance(compiled(bytes), this.#imports());
    const instance = this.#instance;
    void instance.memory; // without one there is nothing to check a run by: refused
    const guest = {
      get fuel() {
        return instance.fuel;
      },
      set fuel(value: bigint) {
        instance.fuel = value;
      },
      state: () => ({
        memory: new Uint8Array(instance.memory.buffer),
        globals: instance.globals(),
      }),
    };
    this.#run = new JobRun(guest, surroundings, terms, options, () => undefined);
    instance.fuelHook = () => this.#run.clock.boundary();
  }

  run(): JobVerdict {
    this.#instance.fuel = this.#run.clock.first();
    const started = this.#instance.start();
    const outcome = started.kind === 'returned' ? this.#instance.call('_start', []) : started;
    const ended = outcome.kind === 'aborted' && outcome.reason instanceof ProgramExit;
    if (outcome.kind !== 'returned' && !ended) return this.#run.stopped(outcome);
    if (this.#stderr.length > 0) this.#run.recorder.log(decodeLine(this.#stderr));
    const exit = ended ? programExit(outcome.reason) : 0;
    if (exit !== 0) return this.#run.verdict('guest-error', `exit code ${exit}`);
    return this.#run.verdict('ok');
  }

  get #view(): DataView {
    return new DataView(this.#instance.memory.buffer);
  }

  #bytes(at: number, length: number): Bytes {
    const { buffer } = this.#instance.memory;
    const [start, size] = [at >>> 0, length >>> 0];
    if (start + size > buffer.byteLength) throw new GuestAbort('pointer outside the guest memory');
    this.#instance.charge(BigInt(size));
    return new Uint8Array(buffer, start, size);
  }

  #setU32(at: number, value: number): void {
    this.#bytes(at, 4);
    this.#view.setUint32(at >>> 0, value, true);
  }

  #setU64(at: number, value: bigint): void {
    this.#bytes(at, 8);
    this.#view.setBigUint64(at >>> 0, value, true);
  }

  /** The input behind a descriptor. */
  #inputOf(fd: number): number | undefined {
    const index = fd === 0 ? 0 : fd - FIRST_INPUT_FD;
    return index >= 0 && index < this.#surroundings.inputs.length ? index : undefined;
  }

  #vectors(list: number, count: number): readonly (readonly [at: number, length: number])[] {
    const out: (readonly [number, number])[] = [];
    this.#bytes(list, Math.min(count >>> 0, 1024) * 8);
    const view = this.#view;
    for (let i = 0; i < Math.min(count >>> 0, 1024); i++) {
      const at = (list >>> 0) + 8 * i;
      out.push([view.getUint32(at, true), view.getUint32(at + 4, true)]);
    }
    return out;
  }

  #read(fd: number, list: number, count: number, done: number): number {
    const input = this.#inputOf(fd);
    if (input === undefined) return ERRNO.badf;
    let total = 0;
    for (const [at, length] of this.#vectors(list, count)) {
      const offset = this.#offsets.get(fd) ?? 0;
      const part = this.#run.recorder.read(input, offset, length);
      this.#bytes(at, part.length).set(part);
      this.#offsets.set(fd, offset + part.length);
      total += part.length;
      if (part.length < length) break;
    }
    this.#setU32(done, total);
    return ERRNO.success;
  }

  #write(fd: number, list: number, count: number, done: number): number {
    if (fd !== 1 && fd !== 2) return ERRNO.badf;
    let total = 0;
    for (const [at, length] of this.#vectors(list, count)) {
      const chunk = this.#bytes(at, length).slice();
      this.#instance.charge(BigInt(chunk.length * JOB_HOST_FUEL.writtenByte));
      if (fd === 1) this.#run.recorder.write(chunk);
      else this.#logBytes(chunk);
      total += length;
    }
    this.#setU32(done, total);
    return ERRNO.success;
  }

  #logBytes(chunk: Bytes): void {
    let rest = concatBytes(this.#stderr, chunk);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      this.#run.recorder.log(decodeLine(rest.subarray(0, end)));
      rest = rest.subarray(end + 1);
    }
    this.#stderr = rest.slice(0, 4_096);
  }

  #seek(fd: number, delta: bigint, whence: number, result: number): number {
    const input = this.#inputOf(fd);
    if (input === undefined) return fd === 1 || fd === 2 ? ERRNO.spipe : ERRNO.badf;
    const size = this.#run.recorder.input(input)?.sizeBytes ?? 0;
    const base = [0, this.#offsets.get(fd) ?? 0, size][whence];
    const target = base === undefined ? -1n : BigInt(base) + delta;
    if (target < 0n || target > BigInt(Number.MAX_SAFE_INTEGER)) return ERRNO.inval;
    this.#offsets.set(fd, Number(target));
    this.#setU64(result, target);
    return ERRNO.success;
  }

  #describe(fd: number, at: number): number {
    const input = this.#inputOf(fd) !== undefined;
    if (!input && fd !== 1 && fd !== 2) return ERRNO.badf;
    this.#bytes(at, 24).fill(0);
    this.#view.setUint8(at >>> 0, input ? FILETYPE.regularFile : FILETYPE.characterDevice);
    this.#setU64((at >>> 0) + 8, input ? RIGHTS_READ_SEEK : RIGHTS_WRITE);
    return ERRNO.success;
  }

  /** Size and kind of an input, as `fd_filestat_get` says them. */
  #statistics(fd: number, at: number): number {
    const input = this.#inputOf(fd);
    if (input === undefined && fd !== 1 && fd !== 2) return ERRNO.badf;
    this.#bytes(at, 64).fill(0);
    const type = input === undefined ? FILETYPE.characterDevice : FILETYPE.regularFile;
    this.#view.setUint8((at >>> 0) + 16, type);
    if (input !== undefined)
      this.#setU64((at >>> 0) + 32, BigInt(this.#run.recorder.input(input)?.sizeBytes ?? 0));
    return ERRNO.success;
  }

  #list(items: readonly Bytes[], pointers: number, buffer: number): number {
    let at = buffer >>> 0;
    for (const [i, item] of items.entries()) {
      this.#setU32((pointers >>> 0) + 4 * i, at);
      this.#bytes(at, item.length).set(item);
      at += item.length;
    }
    return ERRNO.success;
  }

  #sizes(items: readonly Bytes[], count: number, size: number): number {
    this.#setU32(count, items.length);
    this.#setU32(
      size,
      items.reduce((sum, item) => sum + item.length, 0),
    );
    return ERRNO.success;
  }

  #imports(): HostImports {
    const clock = (): bigint => BigInt(this.#surroundings.epochMs) * 1_000_000n;
    const known: Record<string, (...args: never[]) => number> = {
      args_get: (pointers: number, buffer: number) => this.#list(this.#args, pointers, buffer),
      args_sizes_get: (count: number, size: number) => this.#sizes(this.#args, count, size),
      environ_get: () => ERRNO.success,
      environ_sizes_get: (count: number, size: number) => this.#sizes([], count, size),
      clock_time_get: (_clock: number, _precision: bigint, at: number) => {
        this.#setU64(at, clock());
        return ERRNO.success;
      },
      clock_res_get: (_clock: number, at: number) => {
        this.#setU64(at, 1_000_000n);
        return ERRNO.success;
      },
      random_get: (at: number, length: number) => {
        const target = this.#bytes(at, length);
        this.#instance.charge(BigInt(target.length * JOB_HOST_FUEL.randomByte));
        target.set(this.#run.recorder.random(target.length));
        return ERRNO.success;
      },
      fd_read: (fd: number, list: number, count: number, done: number) =>
        this.#read(fd, list, count, done),
      fd_write: (fd: number, list: number, count: number, done: number) =>
        this.#write(fd, list, count, done),
      fd_seek: (fd: number, delta: bigint, whence: number, result: number) =>
        this.#seek(fd, delta, whence, result),
      fd_tell: (fd: number, result: number) => this.#seek(fd, 0n, 1, result),
      fd_close: (fd: number) =>
        fd === 1 || fd === 2 || this.#inputOf(fd) !== undefined ? ERRNO.success : ERRNO.badf,
      fd_fdstat_get: (fd: number, at: number) => this.#describe(fd, at),
      fd_filestat_get: (fd: number, at: number) => this.#statistics(fd, at),
      fd_prestat_get: () => ERRNO.badf,
      fd_prestat_dir_name: () => ERRNO.badf,
      sched_yield: () => ERRNO.success,
      proc_exit: (code: number) => {
        throw new ProgramExit(code);
      },
    };
    const counted: Record<string, (...args: never[]) => number> = {};
    for (const name of WASI_TYPES.keys())
      counted[name] = (...args: never[]) => {
        this.#instance.charge(JOB_HOST_FUEL.call);
        this.#run.recorder.called();
        return known[name]?.(...args) ?? ERRNO.nosys; // paths, sockets, polling: not here
      };
    return { wasi_snapshot_preview1: counted };
  }
}

/**
 * Rewrites the module and checks what it asks of its host.
 *
 * @throws VM_MODULE_MALFORMED, VM_MODULE_UNSUPPORTED, VM_MODULE_LIMIT
 */
export function checkWasiModule(code: Bytes, memoryBytes = MEMORY_PAGES_MAX * PAGE_BYTES): Bytes {
  const { bytes, imports } = injectFuel(code, {
    floats: 'canonicalise',
    memoryPagesMax: Math.min(MEMORY_PAGES_MAX, Math.floor(memoryBytes / PAGE_BYTES)),
    exportGlobals: true,
  });
  for (const { module, name, params, results } of imports) {
    const known = module === 'wasi_snapshot_preview1' ? WASI_TYPES.get(name) : undefined;
    if (known !== `${params}:${results}`)
      throw vmError('VM_MODULE_UNSUPPORTED', `the job imports ${module}.${name}`);
  }
  return bytes;
}

/** What the injector does not look at (types of operands), the compiler does. */
function compiled(bytes: Bytes): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw vmError('VM_MODULE_MALFORMED', `the module is not valid: ${why}`, { cause });
  }
}

const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

function decodeLine(bytes: Bytes): string {
  return lenient.decode(bytes);
}

/** Every function of preview1 with its types; the host relies on them. */
const WASI_TYPES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    args_get: 'ii:i',
    args_sizes_get: 'ii:i',
    environ_get: 'ii:i',
    environ_sizes_get: 'ii:i',
    clock_res_get: 'ii:i',
    clock_time_get: 'iIi:i',
    fd_advise: 'iIIi:i',
    fd_allocate: 'iII:i',
    fd_close: 'i:i',
    fd_datasync: 'i:i',
    fd_fdstat_get: 'ii:i',
    fd_fdstat_set_flags: 'ii:i',
    fd_fdstat_set_rights: 'iII:i',
    fd_filestat_get: 'ii:i',
    fd_filestat_set_size: 'iI:i',
    fd_filestat_set_times: 'iIIi:i',
    fd_pread: 'iiiIi:i',
    fd_prestat_get: 'ii:i',
    fd_prestat_dir_name: 'iii:i',
    fd_pwrite: 'iiiIi:i',
    fd_read: 'iiii:i',
    fd_readdir: 'iiiIi:i',
    fd_renumber: 'ii:i',
    fd_seek: 'iIii:i',
    fd_sync: 'i:i',
    fd_tell: 'ii:i',
    fd_write: 'iiii:i',
    path_create_directory: 'iii:i',
    path_filestat_get: 'iiiii:i',
    path_filestat_set_times: 'iiiiIIi:i',
    path_link: 'iiiiiii:i',
    path_open: 'iiiiiIIii:i',
    path_readlink: 'iiiiii:i',
    path_remove_directory: 'iii:i',
    path_rename: 'iiiiii:i',
    path_symlink: 'iiiii:i',
    path_unlink_file: 'iii:i',
    poll_oneoff: 'iiii:i',
    proc_exit: 'i:',
    proc_raise: 'i:i',
    sched_yield: ':i',
    random_get: 'ii:i',
    sock_accept: 'iii:i',
    sock_recv: 'iiiiii:i',
    sock_send: 'iiiii:i',
    sock_shutdown: 'ii:i',
  }),
);
