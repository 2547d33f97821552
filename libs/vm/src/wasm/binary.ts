/**
 * Reading and writing of WebAssembly's binary primitives: LEB128 integers, names, byte vectors.
 * Spec: WebAssembly Core 2.0, section 5.2 (https://www.w3.org/TR/wasm-core-2/#binary-values).
 */
import { type Bytes, concatBytes, utf8 } from '#libs/kernel';
import { vmError } from '../errors.ts';

function malformed(what: string, offset: number): Error {
  return vmError('VM_MODULE_MALFORMED', `${what} at byte ${offset}`, { detail: { offset } });
}

/** A cursor over module bytes; every read is checked against the end. */
export class BinaryReader {
  readonly bytes: Bytes;
  readonly end: number;
  offset: number;

  constructor(bytes: Bytes, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.offset = start;
    this.end = end;
  }

  get atEnd(): boolean {
    return this.offset >= this.end;
  }

  byte(): number {
    if (this.offset >= this.end) throw malformed('unexpected end', this.offset);
    return this.bytes[this.offset++] as number;
  }

  u32(): number {
    let result = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const at = this.offset;
      const next = this.byte();
      if (shift === 28 && next > 0x0f) throw malformed('LEB128 integer over 32 bits', at);
      result += (next & 0x7f) * 2 ** shift;
      if (next < 0x80) return result;
    }
    throw malformed('LEB128 integer too long', this.offset);
  }

  /** Skips a signed LEB128 integer of at most `bits` bits. */
  skipSigned(bits: 32 | 33 | 64): void {
    const longest = Math.ceil(bits / 7);
    for (let i = 0; i < longest; i++) if (this.byte() < 0x80) return;
    throw malformed('LEB128 integer too long', this.offset);
  }

  /** Signed 33-bit integer, as block types use. */
  s33(): number {
    let result = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const next = this.byte();
      result += (next & 0x7f) * 2 ** shift;
      if (next < 0x80) return next & 0x40 ? result - 2 ** (shift + 7) : result;
    }
    throw malformed('LEB128 integer too long', this.offset);
  }

  take(length: number): Bytes {
    if (length > this.end - this.offset) throw malformed('unexpected end', this.offset);
    const part = this.bytes.subarray(this.offset, this.offset + length);
    this.offset += length;
    return part;
  }

  skip(length: number): void {
    this.take(length);
  }

  name(): Bytes {
    return this.take(this.u32());
  }

  fail(what: string): never {
    throw malformed(what, this.offset);
  }
}

export function u32Leb(value: number): Bytes {
  if (!(value >= 0 && value <= 0xffffffff)) throw malformed(`${value} is no unsigned integer`, 0);
  const out: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    out.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return Uint8Array.from(out);
}

export function signedLeb(value: bigint): Bytes {
  const out: number[] = [];
  let rest = value;
  for (;;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    const done = (rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0);
    out.push(done ? low : low | 0x80);
    if (done) return Uint8Array.from(out);
  }
}

export function nameBytes(name: string): Bytes {
  const bytes = utf8(name);
  return concatBytes(u32Leb(bytes.length), bytes);
}

/** A vector: count, then the items one after the other. */
export function vector(items: readonly Bytes[]): Bytes {
  return concatBytes(u32Leb(items.length), ...items);
}

/** A growing byte buffer for rewritten function bodies. */
export class BinaryWriter {
  #buffer = new Uint8Array(1024);
  #length = 0;

  #reserve(extra: number): void {
    if (this.#length + extra <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(this.#length + extra, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }

  byte(...values: readonly number[]): this {
    this.#reserve(values.length);
    for (const value of values) this.#buffer[this.#length++] = value;
    return this;
  }

  bytes(part: Bytes): this {
    this.#reserve(part.length);
    this.#buffer.set(part, this.#length);
    this.#length += part.length;
    return this;
  }

  u32(value: number): this {
    return this.bytes(u32Leb(value));
  }

  signed(value: bigint): this {
    return this.bytes(signedLeb(value));
  }

  finish(): Bytes {
    return this.#buffer.slice(0, this.#length);
  }
}
