/**
 * Reads canonical CBOR in one pass, without the values in between: what codecs use while everything is
 * as it should be. Whatever is not throws `MISS`, and the caller reads again by `decodeCbor`, which
 * decides and says what is wrong. So a cursor may refuse too much, and never accepts too much.
 */
import { type Bytes, bytesToHex, utf8Decode } from './bytes.ts';

/** Not an error to be shown: read again, slowly. One object, because making a stack costs most. */
export const MISS = new Error('read again by decodeCbor');

const SHORT_NAME_BYTES = 24;
const TWO_32 = 0x1_0000_0000;
const SAFE_HIGH = 0x1f_ffff;

/** Short ASCII texts that were read before, by a hash of their bytes: one copy of each. */
const knownTexts: (string | undefined)[] = Array.from({ length: 1024 }, () => undefined);

interface NodeHex {
  readonly Buffer?: {
    readonly prototype: { hexSlice(this: Bytes, start: number, end: number): string };
  };
}
const nativeHex =
  // oxlint-disable-next-line no-restricted-globals -- only asks whether it exists; the text is the same
  (globalThis as NodeHex).Buffer?.prototype.hexSlice;

export class CborCursor {
  readonly bytes: Bytes;
  at = 0;
  /** Byte strings are views of the input instead of copies. */
  readonly isViewing: boolean;

  constructor(bytes: Bytes, isViewing: boolean) {
    // Plain, whatever came: `slice` of a Buffer is a view.
    this.bytes =
      bytes.constructor === Uint8Array
        ? bytes
        : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.isViewing = isViewing;
  }

  #u32(): number {
    const { bytes, at } = this;
    if (at + 4 > bytes.length) throw MISS;
    this.at = at + 4;
    return (
      (bytes[at] as number) * 0x100_0000 +
      (((bytes[at + 1] as number) << 16) |
        ((bytes[at + 2] as number) << 8) |
        (bytes[at + 3] as number))
    );
  }

  /** Argument of a head of this major type, at most 2^53 − 1. */
  head(major: number): number {
    const { bytes } = this;
    if (this.at >= bytes.length) throw MISS;
    const first = bytes[this.at++] as number;
    if (first >> 5 !== major) throw MISS;
    const info = first & 31;
    if (info < 24) return info;
    if (info === 24) {
      if (this.at >= bytes.length) throw MISS;
      const value = bytes[this.at++] as number;
      if (value < 24) throw MISS;
      return value;
    }
    if (info === 25) {
      const at = this.at;
      if (at + 2 > bytes.length) throw MISS;
      this.at = at + 2;
      const value = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
      if (value < 0x100) throw MISS;
      return value;
    }
    if (info === 26) {
      const value = this.#u32();
      if (value < 0x10000) throw MISS;
      return value;
    }
    if (info !== 27) throw MISS;
    const high = this.#u32();
    const low = this.#u32();
    if (high === 0 || high > SAFE_HIGH) throw MISS;
    return high * TWO_32 + low;
  }

  /** A whole number within ±(2^53 − 1). */
  whole(): number {
    const first = this.bytes[this.at];
    if (first !== undefined && first >> 5 === 1) return -1 - this.head(1);
    return this.head(0);
  }

  /** An unsigned integer of up to 64 bits. */
  big(): bigint {
    const { bytes } = this;
    if (bytes[this.at] !== 27) return BigInt(this.head(0));
    this.at++;
    const high = this.#u32();
    const low = this.#u32();
    if (high === 0) throw MISS;
    return high <= SAFE_HIGH ? BigInt(high * TWO_32 + low) : (BigInt(high) << 32n) | BigInt(low);
  }

  /** Length of something that follows, which has at least so many bytes. */
  count(major: number): number {
    const length = this.head(major);
    if (length > this.bytes.length - this.at) throw MISS;
    return length;
  }

  /** One byte, when it is the next. */
  takes(byte: number): boolean {
    if (this.bytes[this.at] !== byte) return false;
    this.at++;
    return true;
  }

  hex(length: number): string {
    if (this.count(2) !== length) throw MISS;
    const start = this.at;
    this.at = start + length;
    if (nativeHex) return nativeHex.call(this.bytes, start, this.at);
    return bytesToHex(this.bytes.subarray(start, this.at));
  }

  byteString(maxLength: number): Bytes {
    const length = this.count(2);
    if (length > maxLength) throw MISS;
    const start = this.at;
    this.at = start + length;
    return this.isViewing ? this.bytes.subarray(start, this.at) : this.bytes.slice(start, this.at);
  }

  text(): string {
    const length = this.count(3);
    const start = this.at;
    this.at = start + length;
    const known = length <= SHORT_NAME_BYTES ? this.#knownText(start, this.at) : undefined;
    if (known !== undefined) return known;
    try {
      return utf8Decode(this.bytes.subarray(start, this.at));
    } catch {
      throw MISS;
    }
  }

  #knownText(start: number, end: number): string | undefined {
    const { bytes } = this;
    let hash = 0;
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0;
    const slot = hash & 1023;
    const known = knownTexts[slot];
    if (known !== undefined && known.length === end - start) {
      let i = start;
      while (i < end && known.charCodeAt(i - start) === bytes[i]) i++;
      if (i === end) return known;
    }
    let text = '';
    for (let i = start; i < end; i++) {
      const byte = bytes[i] as number;
      if (byte >= 0x80) return undefined;
      text += String.fromCharCode(byte);
    }
    knownTexts[slot] = text;
    return text;
  }

  /** Goes past these bytes when they come next. */
  passes(expected: Bytes): boolean {
    const { bytes, at } = this;
    const { length } = expected;
    if (at + length > bytes.length) return false;
    for (let i = 0; i < length; i++) if (bytes[at + i] !== expected[i]) return false;
    this.at = at + length;
    return true;
  }

  /** Goes past one value whatever it is; says nothing about its form. */
  skip(depth = 0): void {
    const first = this.bytes[this.at];
    if (first === undefined || depth > 16) throw MISS;
    const major = first >> 5;
    if (major >= 6) {
      if (first !== 0xf4 && first !== 0xf5 && first !== 0xf6) throw MISS;
      this.at++;
      return;
    }
    if (major <= 1) {
      if (first === 27 || first === 59) {
        this.at += 9;
        if (this.at > this.bytes.length) throw MISS;
      } else this.head(major);
      return;
    }
    const count = this.count(major);
    if (major <= 3) {
      this.at += count;
      return;
    }
    for (let i = 0; i < (major === 5 ? 2 * count : count); i++) this.skip(depth + 1);
  }
}
