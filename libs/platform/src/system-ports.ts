/** The machine's clock and randomness behind the kernel's ports. */
import { getRandomValues } from 'node:crypto';
import type { Clock, Randomness } from '#libs/kernel';

/** Largest request one call of the system's generator serves. */
const CHUNK_BYTES = 65_536;

export function createSystemClock(): Clock {
  return {
    nowUs: () => Date.now() * 1000,
    monotonicMs: () => performance.now(),
  };
}

/** Cryptographic randomness of the operating system. */
export function createSystemRandomness(): Randomness {
  return {
    bytes: (length) => {
      const out = new Uint8Array(length);
      for (let at = 0; at < length; at += CHUNK_BYTES)
        getRandomValues(out.subarray(at, Math.min(length, at + CHUNK_BYTES)));
      return out;
    },
  };
}
