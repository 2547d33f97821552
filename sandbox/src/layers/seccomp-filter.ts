/**
 * System call filter of a slot, emitted as classic BPF by ourselves: what Node needs once it runs is
 * allowed, `clone` only makes threads, `clone3` does not exist (so libc falls back to `clone`, whose
 * flags a filter can read), everything else is EPERM. `execve` stays open because the launcher needs
 * it; a slot's root holds nothing to execute but Node. seccomp(2), linux/seccomp.h, linux/filter.h.
 */
import type { Bytes } from '#libs/kernel';

const LOAD_WORD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_AT_LEAST = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JUMP_ANY_BIT = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN = 0x06; // BPF_RET | BPF_K

const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const REFUSE = 0x00050000; // SECCOMP_RET_ERRNO, or-ed with the errno
const EPERM = 1;
const ENOSYS = 38;
const CLONE_THREAD = 0x00010000;
/** System calls of the x32 ABI carry this bit on x86-64 and would slip past the numbers. */
const X32_BIT = 0x40000000;

/** Offsets in struct seccomp_data. */
const AT_NUMBER = 0;
const AT_ARCHITECTURE = 4;
/** Low half of the first argument; both architectures are little-endian. */
const AT_FIRST_ARGUMENT = 16;

/** What Node, V8 and libuv call after the C library has loaded them; names as in the kernel's tables. */
const X64: Readonly<Record<string, number>> = {
  ...{ read: 0, write: 1, open: 2, close: 3, stat: 4, fstat: 5, lstat: 6, poll: 7, lseek: 8 },
  ...{ mmap: 9, mprotect: 10, munmap: 11, brk: 12, rt_sigaction: 13, rt_sigprocmask: 14 },
  ...{ rt_sigreturn: 15, ioctl: 16, pread64: 17, pwrite64: 18, readv: 19, writev: 20, access: 21 },
  ...{ pipe: 22, select: 23, sched_yield: 24, mremap: 25, madvise: 28, dup: 32, dup2: 33 },
  ...{ nanosleep: 35, getpid: 39, clone: 56, execve: 59, exit: 60, wait4: 61, kill: 62 },
  ...{ uname: 63, fcntl: 72, ftruncate: 77, getcwd: 79, chdir: 80, readlink: 89, gettimeofday: 96 },
  ...{ getrlimit: 97, getrusage: 98, sysinfo: 99, times: 100, getuid: 102, getgid: 104 },
  ...{ geteuid: 107, getegid: 108, getppid: 110, capget: 125, sigaltstack: 131, prctl: 157 },
  ...{ arch_prctl: 158, gettid: 186, time: 201, futex: 202, sched_setaffinity: 203 },
  ...{ sched_getaffinity: 204, getdents64: 217, set_tid_address: 218, restart_syscall: 219 },
  ...{ clock_gettime: 228, clock_getres: 229, clock_nanosleep: 230, exit_group: 231 },
  ...{
    epoll_wait: 232,
    epoll_ctl: 233,
    tgkill: 234,
    openat: 257,
    newfstatat: 262,
    readlinkat: 267,
  },
  ...{ faccessat: 269, set_robust_list: 273, epoll_pwait: 281, eventfd2: 290, epoll_create1: 291 },
  ...{ dup3: 292, pipe2: 293, prlimit64: 302, getcpu: 309, getrandom: 318, statx: 332 },
  ...{ membarrier: 324, pkey_mprotect: 329, pkey_alloc: 330, pkey_free: 331, rseq: 334 },
  ...{ close_range: 436, faccessat2: 439, sched_getparam: 143, sched_getscheduler: 145 },
};
const ARM64: Readonly<Record<string, number>> = {
  ...{ getcwd: 17, eventfd2: 19, epoll_create1: 20, epoll_ctl: 21, epoll_pwait: 22, dup: 23 },
  ...{ dup3: 24, fcntl: 25, ioctl: 29, ftruncate: 46, faccessat: 48, chdir: 49, openat: 56 },
  ...{
    close: 57,
    pipe2: 59,
    getdents64: 61,
    lseek: 62,
    read: 63,
    write: 64,
    readv: 65,
    writev: 66,
  },
  ...{ pread64: 67, pwrite64: 68, pselect6: 72, ppoll: 73, readlinkat: 78, newfstatat: 79 },
  ...{ fstat: 80, capget: 90, exit: 93, exit_group: 94, set_tid_address: 96, futex: 98 },
  ...{ set_robust_list: 99, nanosleep: 101, clock_gettime: 113, clock_getres: 114 },
  ...{ clock_nanosleep: 115, sched_getscheduler: 120, sched_getparam: 121 },
  ...{ sched_setaffinity: 122, sched_getaffinity: 123, sched_yield: 124, restart_syscall: 128 },
  ...{ kill: 129, tgkill: 131, sigaltstack: 132, rt_sigaction: 134, rt_sigprocmask: 135 },
  ...{ rt_sigreturn: 139, times: 153, uname: 160, getrlimit: 163, getrusage: 165, prctl: 167 },
  ...{ getcpu: 168, gettimeofday: 169, getpid: 172, getppid: 173, getuid: 174, geteuid: 175 },
  ...{ getgid: 176, getegid: 177, gettid: 178, sysinfo: 179, brk: 214, munmap: 215, mremap: 216 },
  ...{ clone: 220, execve: 221, mmap: 222, mprotect: 226, madvise: 233, wait4: 260 },
  ...{ prlimit64: 261, getrandom: 278, membarrier: 283, pkey_mprotect: 288, pkey_alloc: 289 },
  ...{ pkey_free: 290, statx: 291, rseq: 293, close_range: 436, faccessat2: 439 },
};
/** The same number everywhere. */
const CLONE3 = 435;

interface Architecture {
  /** AUDIT_ARCH_… of linux/audit.h. */
  readonly audit: number;
  readonly calls: Readonly<Record<string, number>>;
}

const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  x64: { audit: 0xc000003e, calls: X64 },
  arm64: { audit: 0xc00000b7, calls: ARM64 },
};

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, value: number];

function encode(program: readonly Instruction[]): Bytes {
  const out = new DataView(new ArrayBuffer(program.length * 8));
  for (const [i, [code, jumpTrue, jumpFalse, value]] of program.entries()) {
    out.setUint16(i * 8, code, true);
    out.setUint8(i * 8 + 2, jumpTrue);
    out.setUint8(i * 8 + 3, jumpFalse);
    out.setUint32(i * 8 + 4, value, true);
  }
  return new Uint8Array(out.buffer);
}

/** The filter program for a Node architecture (`process.arch`); `undefined` where we have none. */
export function seccompFilter(architecture: string): Bytes | undefined {
  const known = ARCHITECTURES[architecture];
  if (known === undefined) return undefined;
  const { audit, calls } = known;
  const when = (number: number, action: number): Instruction[] => [
    [JUMP_EQUAL, 0, 1, number],
    [RETURN, 0, 0, action >>> 0],
  ];
  const { clone = -1, ...plain } = calls;
  return encode([
    [LOAD_WORD, 0, 0, AT_ARCHITECTURE],
    [JUMP_EQUAL, 1, 0, audit],
    [RETURN, 0, 0, KILL_PROCESS],
    [LOAD_WORD, 0, 0, AT_NUMBER],
    [JUMP_AT_LEAST, 0, 1, X32_BIT],
    [RETURN, 0, 0, REFUSE | EPERM],
    ...Object.values(plain).flatMap((number) => when(number, ALLOW)),
    ...when(CLONE3, REFUSE | ENOSYS),
    [JUMP_EQUAL, 0, 3, clone],
    [LOAD_WORD, 0, 0, AT_FIRST_ARGUMENT],
    [JUMP_ANY_BIT, 0, 1, CLONE_THREAD],
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, REFUSE | EPERM],
  ]);
}
