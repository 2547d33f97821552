/**
 * Byte strings as text of one character (0–255) per byte. The state tree keeps hundreds of thousands of
 * hashes in memory: as text a hash takes 48 bytes and is one object to the garbage collector, as a
 * `Uint8Array` it takes about 240 and is three.
 */
import type { Bytes } from '#libs/kernel';

/** One character per byte. */
export type ByteText = string;

interface NodeLatin1 {
  readonly Buffer?: {
    readonly prototype: {
      latin1Slice(this: Bytes, start: number, end: number): string;
      latin1Write(this: Bytes, text: string, at: number, length: number): number;
    };
  };
}

/** Node's native ways, where there are some: the result is the same. */
const native =
  // oxlint-disable-next-line no-restricted-globals -- only asks whether it exists
  (globalThis as NodeLatin1).Buffer?.prototype;
const nativeText = native?.latin1Slice;
const nativeWrite = native?.latin1Write;
/** Below it the loop is faster. */
const NATIVE_WRITE_MIN = 16;
/** V8 keeps arrays up to this size in its heap, and has to move one out of it for native code. */
const IN_HEAP_MAX_BYTES = 64;

/** The bytes [start, end), which are few. */
export function bytesToText(bytes: Bytes, start = 0, end = bytes.length): ByteText {
  if (nativeText) return nativeText.call(bytes, start, end);
  return String.fromCharCode.apply(null, bytes.subarray(start, end) as unknown as number[]);
}

export function textToBytes(text: ByteText): Bytes {
  const bytes = new Uint8Array(text.length);
  writeText(text, bytes, 0);
  return bytes;
}

/** Writes the text's bytes into `out`; returns where they end. */
export function writeText(text: ByteText, out: Bytes, at: number): number {
  const { length } = text;
  if (nativeWrite && length >= NATIVE_WRITE_MIN && out.length > IN_HEAP_MAX_BYTES)
    return at + nativeWrite.call(out, text, at, length);
  for (let i = 0; i < length; i++) out[at + i] = text.charCodeAt(i);
  return at + length;
}

/** Bit `index`, most significant first. */
export function textBitAt(text: ByteText, index: number): number {
  return (text.charCodeAt(index >> 3) >> (7 - (index & 7))) & 1;
}
