/**
 * What runs in a slot process. Reads frames from fd 3, writes frames to fd 4 (blocking, so a slow
 * parent slows the guest down instead of filling memory). Dies with its parent. Started by ../slot.ts.
 */
import { openSync, read, writeSync } from 'node:fs';
import { FROM_SLOT, FrameReceiver, TO_SLOT, frame } from './frames.ts';
import { type GuestIsolate, createGuestIsolate } from './isolate.ts';
import { loadIsolatedVm } from './isolated-vm.ts';
import { type SendAll, type TaskHeader, TaskRun } from './run-task.ts';

const IN_FD = 3;
const OUT_FD = 4;

const [addonPath = '', spareMemory = '256'] = process.argv.slice(2);
const vm = loadIsolatedVm(addonPath);
let current: TaskRun | undefined;

function send(type: number, payload?: Uint8Array): void {
  write(frame(type, payload));
}

const write = (bytes: Uint8Array): void => {
  for (let at = 0; at < bytes.length;) at += writeSync(OUT_FD, bytes, at);
};

const sendAll: SendAll = (frames) =>
  write(Buffer.concat(frames.map(([type, payload]) => frame(type, payload))));

const fresh = (memoryMb: number): GuestIsolate =>
  createGuestIsolate(vm, memoryMb, () => current?.catastrophe());

function refusal(attempt: () => void): string {
  try {
    attempt();
    return 'allowed';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'refused';
  }
}

/** Loaded only when asked: every module of Node adds to the start of every slot. */
const builtin = <N extends 'node:child_process' | 'node:os'>(name: N) =>
  process.getBuiltinModule(name);

/** Names of interfaces that are up; asking takes a socket, which may be refused as well. */
function interfaces(): string[] {
  try {
    return Object.keys(builtin('node:os').networkInterfaces());
  } catch {
    return [];
  }
}

/** What this process can still do; asked before any guest ran in it. */
function probe(): void {
  const verdicts = {
    readFile: refusal(() => void openSync('/etc/passwd', 'r')),
    writeFile: refusal(() => void openSync('/tmp/seele-probe', 'a')),
    spawn: refusal(() => {
      const { error } = builtin('node:child_process').spawnSync('/bin/true');
      if (error !== undefined) throw error;
    }),
    interfaces: interfaces(),
    // bubblewrap says where it starts; that is no secret.
    environment: Object.keys(process.env).filter((name) => name !== 'PWD'),
    node: process.version,
    v8: process.versions.v8,
    hasWebAssembly: typeof WebAssembly === 'object',
    attempts: [],
  };
  send(FROM_SLOT.probed, Buffer.from(JSON.stringify(verdicts)));
}

let used: GuestIsolate | undefined;

/**
 * A slot serves one order, so what a task left behind can only meet tasks of the same order. It meets
 * them only if the task ended well, with nothing of it left waiting.
 */
async function afterLast(memoryMb: number): Promise<GuestIsolate | undefined> {
  const [last, task] = [used, current];
  used = undefined;
  const isUsable = last?.memoryMb === memoryMb && (await task?.leavesNothing()) === true;
  const next = isUsable ? last?.successor() : undefined;
  if (next === undefined) last?.dispose();
  return next;
}

let spare: GuestIsolate | undefined = fresh(Number(spareMemory));

async function startTask(payload: Buffer): Promise<void> {
  const length = payload.readUInt32LE(0);
  const header = JSON.parse(payload.toString('utf8', 4, 4 + length)) as TaskHeader;
  const next = await afterLast(header.memoryMb);
  // One with a wider limit will do: it is a hint, the parent's watchdog is exact.
  const ready =
    next ?? (spare !== undefined && spare.memoryMb >= header.memoryMb ? spare : undefined);
  // Before the next isolate is made: each reserves address space that counts against the data limit.
  if (ready !== spare) spare?.dispose();
  spare = undefined;
  const isolate = ready ?? fresh(header.memoryMb);
  used = isolate;
  current = new TaskRun(isolate, header, send, sendAll);
  await current.run(payload.subarray(4 + length));
}

const receiver = new FrameReceiver((type, payload, stream) => {
  if (type === TO_SLOT.task) void startTask(payload);
  else if (type === TO_SLOT.chunk) current?.chunk(stream, payload);
  else if (type === TO_SLOT.end) current?.end(payload.readUInt32LE(0), payload[4] as number);
  else if (type === TO_SLOT.probe) probe();
});

/** At once, whatever a guest's thread is doing. */
function end(): never {
  process.kill(process.pid, 'SIGKILL');
  // The first process of a namespace cannot kill itself; this ends it by a fault.
  process.abort();
}

/** Not a socket object: loading `net` and streams would cost every start several milliseconds. */
function listen(): void {
  const room = receiver.room();
  read(IN_FD, room, 0, room.length, null, (error, size) => {
    if (error !== null || size === 0 || !receiver.took(size)) end();
    else listen();
  });
}

listen();
send(FROM_SLOT.ready);
