/** Plain byte-string operations that work the same in Node and in browsers. */

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const SHORT_TEXT_BYTES = 32;

export type Bytes = Uint8Array<ArrayBufferLike>;

export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/** Decodes UTF-8; throws a `TypeError` on malformed sequences. */
export function utf8Decode(bytes: Bytes): string {
  // The decoder costs more than a few characters: short ASCII goes without it.
  if (bytes.length > SHORT_TEXT_BYTES) return strictDecoder.decode(bytes);
  let text = '';
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (byte >= 0x80) return strictDecoder.decode(bytes);
    text += String.fromCharCode(byte);
  }
  return text;
}

export function concatBytes(...parts: readonly Bytes[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

export function equalBytes(a: Bytes, b: Bytes): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Lexicographic order, the order of keys in every Seele store. */
export function compareBytes(a: Bytes, b: Bytes): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

const HEX_DIGITS = utf8('0123456789abcdef');
const HEX_CHUNK_BYTES = 4096;

/** Node's native hex writer, where there is one: a fifth of the time of the loop below. */
const nativeHex =
  // oxlint-disable-next-line no-restricted-globals -- only asks whether it exists; the text is the same
  (globalThis as NodeHex).Buffer?.prototype.hexSlice;

interface NodeHex {
  readonly Buffer?: {
    readonly prototype: { hexSlice(this: Bytes, start: number, end: number): string };
  };
}

export function bytesToHex(bytes: Bytes): string {
  if (nativeHex) return nativeHex.call(bytes, 0, bytes.length);
  // One flat string: joining 32 pairs leaves two kilobytes of garbage per hash.
  const digits = new Uint8Array(2 * bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    digits[2 * i] = HEX_DIGITS[byte >> 4] as number;
    digits[2 * i + 1] = HEX_DIGITS[byte & 15] as number;
  }
  let out = '';
  for (let i = 0; i < digits.length; i += HEX_CHUNK_BYTES)
    out += String.fromCharCode.apply(
      null,
      digits.subarray(i, i + HEX_CHUNK_BYTES) as unknown as number[],
    );
  return out;
}

/** Values of lower-case hex digits by character code, −1 for all others. */
const NIBBLES = new Int8Array(128).fill(-1);
for (const [value, code] of HEX_DIGITS.entries()) NIBBLES[code] = value;

/** Lower-case hexadecimal only, so that one value has one spelling; `undefined` when malformed. */
export function hexToBytes(hex: string): Bytes | undefined {
  if (hex.length % 2 !== 0) return undefined;
  const out = new Uint8Array(hex.length / 2);
  return writeHex(hex, out, 0) ? out : undefined;
}

/** Writes what lower-case hex of even length says to `at`; false, and some of it written, when malformed. */
export function writeHex(hex: string, out: Bytes, at: number): boolean {
  for (let i = 0; 2 * i < hex.length; i++) {
    const high = NIBBLES[hex.charCodeAt(2 * i)] ?? -1;
    const low = NIBBLES[hex.charCodeAt(2 * i + 1)] ?? -1;
    if (high < 0 || low < 0) return false;
    out[at + i] = (high << 4) | low;
  }
  return true;
}

const ARENA_CHUNK_BYTES = 128 * 1024;

/**
 * Cuts many small arrays out of few large ones, for things that live and die together: V8 gives every
 * array above 64 bytes memory of its own from the system. One array that is kept keeps its whole chunk.
 */
export class ByteArena {
  #chunk = new Uint8Array();
  #used = 0;

  take(length: number): Bytes {
    if (this.#used + length > this.#chunk.length) {
      this.#chunk = new Uint8Array(Math.max(length, ARENA_CHUNK_BYTES));
      this.#used = 0;
    }
    const start = this.#chunk.byteOffset + this.#used;
    this.#used += length;
    return new Uint8Array(this.#chunk.buffer, start, length);
  }
}
