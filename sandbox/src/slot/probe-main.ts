/**
 * Runs in a slot's place, without Node's permission model but behind every other layer, and tries
 * what native code in a taken-over slot would try. Started by ../isolation.ts; sees no guest.
 */
import { openSync, readSync, writeSync, closeSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { FROM_SLOT, FrameReader, PARENT_FRAME_MAX_BYTES, TO_SLOT, frame } from './frames.ts';

const IN_FD = 3;
const OUT_FD = 4;
const CONNECT_MS = 500;

interface Attempt {
  readonly attempt: string;
  readonly refused: boolean;
  readonly seen: string;
}

function tried(attempt: string, action: () => void): Attempt {
  try {
    action();
    return { attempt, refused: false, seen: 'done' };
  } catch (error) {
    return { attempt, refused: true, seen: (error as NodeJS.ErrnoException).code ?? String(error) };
  }
}

function readOne(path: string): void {
  const file = openSync(path, 'r');
  readSync(file, Buffer.alloc(1), 0, 1, null);
  closeSync(file);
}

/** A refused connection still proves an open network: somebody answered. */
function tryConnect(): Promise<Attempt> {
  const attempt = 'open a socket';
  return new Promise((resolve) => {
    const answer = (refused: boolean, seen: string) => {
      clearTimeout(timer);
      resolve({ attempt, refused, seen });
      socket.destroy();
    };
    const socket = connect({ host: '127.0.0.1', port: 9 }, () => answer(false, 'connected'));
    const timer = setTimeout(() => answer(false, 'no answer'), CONNECT_MS);
    socket.on('error', ({ code = 'unknown' }: NodeJS.ErrnoException) =>
      answer(code !== 'ECONNREFUSED', code),
    );
  });
}

async function attempts(): Promise<Attempt[]> {
  return [
    tried('read /etc/passwd', () => readOne('/etc/passwd')),
    tried('write to /', () => closeSync(openSync('/seele-probe', 'ax'))),
    tried('write to /tmp', () => closeSync(openSync(`/tmp/seele-probe-${process.pid}`, 'ax'))),
    await tryConnect(),
    tried('fork', () => {
      const { error, status } = spawnSync(process.execPath, ['--version']);
      if (error !== undefined) throw error;
      if (status !== 0) throw new Error(`ended with ${status}`);
    }),
    // The same check of the kernel as ptrace(2): may this process look into another's memory?
    tried('ptrace', () => readOne(`/proc/${process.ppid}/maps`)),
  ];
}

function send(type: number, payload?: Uint8Array): void {
  const bytes = frame(type, payload);
  for (let at = 0; at < bytes.length;) at += writeSync(OUT_FD, bytes, at);
}

const reader = new FrameReader(PARENT_FRAME_MAX_BYTES, (type) => {
  if (type !== TO_SLOT.probe) return;
  void attempts().then((found) =>
    send(FROM_SLOT.probed, Buffer.from(JSON.stringify({ attempts: found }))),
  );
});

send(FROM_SLOT.ready);
const chunk = Buffer.alloc(64);
const size = readSync(IN_FD, chunk, 0, chunk.length, null);
reader.push(chunk.subarray(0, size));
