/** Two byte strings in one array, for a moment. */
import type { Bytes } from '#libs/kernel';

/** Views of the beginning of one buffer, by length. */
const scratch = new Uint8Array(1024);
const scratchViews: (Bytes | undefined)[] = Array.from({ length: scratch.length + 1 });

/**
 * Two parts in one array that is valid until the next call: for what is hashed or checked at once. V8
 * takes memory from the system for every array above 64 bytes.
 */
export function joined(head: Bytes, rest: Bytes): Bytes {
  const length = head.length + rest.length;
  const out =
    length > scratch.length
      ? new Uint8Array(length)
      : (scratchViews[length] ??= scratch.subarray(0, length));
  out.set(head);
  out.set(rest, head.length);
  return out;
}
