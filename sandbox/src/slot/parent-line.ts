/** The line to the parent for code that may block: frames from fd 3, frames to fd 4. */
import { readSync, writeSync } from 'node:fs';
import { FrameReader, PARENT_FRAME_MAX_BYTES, frame } from './frames.ts';

const IN_FD = 3;
const OUT_FD = 4;
const READ_BYTES = 512 * 1024;

export interface ParentFrame {
  readonly type: number;
  readonly payload: Buffer;
}

const waiting: ParentFrame[] = [];
const reader = new FrameReader(PARENT_FRAME_MAX_BYTES, (type, payload) => {
  waiting.push({ type, payload });
});

/** Blocks until the parent has said something. A parent that is gone ends this process. */
export function nextFrame(): ParentFrame {
  for (;;) {
    const next = waiting.shift();
    if (next !== undefined) return next;
    const chunk = Buffer.allocUnsafeSlow(READ_BYTES);
    const size = readSync(IN_FD, chunk, 0, READ_BYTES, null);
    if (size === 0 || !reader.push(chunk.subarray(0, size))) process.kill(process.pid, 'SIGKILL');
  }
}

export function send(type: number, payload?: Uint8Array): void {
  const bytes = frame(type, payload);
  for (let at = 0; at < bytes.length;) at += writeSync(OUT_FD, bytes, at);
}
