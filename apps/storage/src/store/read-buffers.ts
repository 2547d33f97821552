/**
 * Buffers for blocks that are read only to be sent. Without them every MiB read is a MiB allocated,
 * and collecting those costs as much as hashing them.
 */
import type { Bytes } from '#libs/kernel';

/** A leaf of the profile, and one byte by which a longer block is told. */
const BUFFER_BYTES = 1024 * 1024 + 1;
/** Kept for the next reader; the memory that idle buffers hold is this many MiB at most. */
const MAX_IDLE = 32;

export interface ReadBuffers {
  /** An idle buffer, or a new one. */
  take(): Buffer;
  /** Takes back the buffer below these bytes, if it is one of ours; nobody may look at it after. */
  giveBack(bytes: Bytes): void;
}

export function createReadBuffers(): ReadBuffers {
  const idle: Buffer[] = [];
  const lent = new WeakMap<ArrayBufferLike, Buffer>();
  return {
    take() {
      const buffer = idle.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
      lent.set(buffer.buffer, buffer);
      return buffer;
    },
    giveBack({ buffer }) {
      const mine = lent.get(buffer);
      if (mine === undefined) return;
      lent.delete(buffer);
      if (idle.length < MAX_IDLE) idle.push(mine);
    },
  };
}
