/**
 * What runs in a slot process. Reads frames from fd 3, writes frames to fd 4 (blocking, so a slow
 * parent slows the guest down instead of filling memory). Dies with its parent. Started by ../slot.ts.
 */
import { spawnSync } from 'node:child_process';
import { openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { FROM_SLOT, FrameReader, PARENT_FRAME_MAX_BYTES, TO_SLOT, frame } from './frames.ts';
import { type GuestIsolate, createGuestIsolate } from './isolate.ts';
import { loadIsolatedVm } from './isolated-vm.ts';
import { type TaskHeader, TaskRun } from './run-task.ts';

const IN_FD = 3;
const OUT_FD = 4;

const [addonPath = '', spareMemory = '256'] = process.argv.slice(2);
const vm = loadIsolatedVm(addonPath);
let current: TaskRun | undefined;

function send(type: number, payload?: Uint8Array): void {
  const bytes = frame(type, payload);
  for (let at = 0; at < bytes.length;) at += writeSync(OUT_FD, bytes, at);
}

const fresh = (memoryMb: number): Promise<GuestIsolate> =>
  createGuestIsolate(vm, memoryMb, () => current?.catastrophe());

function refusal(attempt: () => void): string {
  try {
    attempt();
    return 'allowed';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'refused';
  }
}

/** What this process can still do; asked before any guest ran in it. */
function probe(): void {
  const verdicts = {
    readFile: refusal(() => void openSync('/etc/passwd', 'r')),
    writeFile: refusal(() => void openSync('/tmp/seele-probe', 'a')),
    spawn: refusal(() => {
      const { error } = spawnSync('/bin/true');
      if (error !== undefined) throw error;
    }),
    interfaces: Object.keys(networkInterfaces()),
    environment: Object.keys(process.env),
    node: process.version,
    v8: process.versions.v8,
  };
  send(FROM_SLOT.probed, Buffer.from(JSON.stringify(verdicts)));
}

let used: GuestIsolate | undefined;
let spare: GuestIsolate | undefined = await fresh(Number(spareMemory));

async function startTask(payload: Buffer): Promise<void> {
  const length = payload.readUInt32LE(0);
  const header = JSON.parse(payload.toString('utf8', 4, 4 + length)) as TaskHeader;
  used?.dispose();
  const ready = spare?.memoryMb === header.memoryMb ? spare : undefined;
  // Before the next isolate is made: each reserves address space that counts against the data limit.
  if (ready === undefined) spare?.dispose();
  spare = undefined;
  const isolate = ready ?? (await fresh(header.memoryMb));
  used = isolate;
  current = new TaskRun(isolate, header, send);
  await current.run(payload.subarray(4 + length));
}

const reader = new FrameReader(PARENT_FRAME_MAX_BYTES, (type, payload) => {
  if (type === TO_SLOT.task) void startTask(payload);
  else if (type === TO_SLOT.chunk) current?.chunk(payload.readUInt32LE(0), payload.subarray(4));
  else if (type === TO_SLOT.end) current?.end(payload.readUInt32LE(0), payload[4] as number);
  else if (type === TO_SLOT.probe) probe();
});

const end = (): void => void process.kill(process.pid, 'SIGKILL');
const input = new Socket({ fd: IN_FD, readable: true, writable: false });
input.on('data', (bytes: Buffer) => {
  if (!reader.push(bytes)) end();
});
input.on('end', end);
input.on('error', end);
send(FROM_SLOT.ready);
