/**
 * Canonical DAG-CBOR, writing half. Spec: https://ipld.io/specs/codecs/dag-cbor/spec/ (strict form):
 * shortest integers, 64-bit floats only, definite lengths, keys sorted by length and then bytes,
 * no tag but 42 (CID). One value has exactly one encoding, so hashes of encodings identify values.
 */
import { CID } from 'multiformats/cid';
import { type ByteArena, type Bytes, compareBytes, utf8 } from './bytes.ts';
import { kernelError } from './errors.ts';

export interface CborMap {
  readonly [key: string]: CborValue;
}

export type CborValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | CID
  | readonly CborValue[]
  | CborMap;

export const CBOR_MAX_DEPTH = 64;

const MAX_U64 = (1n << 64n) - 1n;
const MIN_I64_CBOR = -(1n << 64n);
const INITIAL_CAPACITY = 256;

/** Values of lower-case hex digits by character code, −1 for all others. */
const HEX_VALUES = new Int8Array(128).fill(-1);
for (let i = 0; i < 16; i++) HEX_VALUES['0123456789abcdef'.charCodeAt(i)] = i;

/** Bytes of one encoding after the other. For codecs, and `encodeCbor`. */
export class CborWriter {
  #buffer = new Uint8Array(INITIAL_CAPACITY);
  #view = new DataView(this.#buffer.buffer);
  #length = 0;

  #reserve(extra: number): void {
    const needed = this.#length + extra;
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer);
  }

  head(major: number, argument: number): void {
    this.#reserve(9);
    const type = major << 5;
    if (argument < 24) {
      this.#buffer[this.#length++] = type | argument;
    } else if (argument < 0x100) {
      this.#buffer[this.#length++] = type | 24;
      this.#buffer[this.#length++] = argument;
    } else if (argument < 0x10000) {
      this.#buffer[this.#length++] = type | 25;
      this.#view.setUint16(this.#length, argument);
      this.#length += 2;
    } else if (argument < 0x100000000) {
      this.#buffer[this.#length++] = type | 26;
      this.#view.setUint32(this.#length, argument);
      this.#length += 4;
    } else {
      this.#wideHead(type, BigInt(argument));
    }
  }

  bigHead(major: number, argument: bigint): void {
    if (argument < 0x100000000n) this.head(major, Number(argument));
    else {
      this.#reserve(9);
      this.#wideHead(major << 5, argument);
    }
  }

  #wideHead(type: number, argument: bigint): void {
    this.#buffer[this.#length++] = type | 27;
    this.#view.setBigUint64(this.#length, argument);
    this.#length += 8;
  }

  float(value: number): void {
    this.#reserve(9);
    this.#buffer[this.#length++] = 0xfb;
    this.#view.setFloat64(this.#length, value);
    this.#length += 8;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  raw(bytes: Bytes): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Writes text of fewer than 24 ASCII characters; false, and nothing written, for any other. */
  shortAscii(text: string): boolean {
    const { length } = text;
    if (length >= 24) return false;
    this.#reserve(1 + length);
    const start = this.#length + 1;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) return false;
      this.#buffer[start + i] = code;
    }
    this.#buffer[this.#length] = 0x60 | length;
    this.#length = start + length;
    return true;
  }

  /** A few bytes made before, such as the name of a field with its head. */
  short(bytes: Bytes): void {
    const { length } = bytes;
    this.#reserve(length);
    for (let i = 0; i < length; i++) this.#buffer[this.#length + i] = bytes[i] as number;
    this.#length += length;
  }

  /** A byte string given in lower-case hex; false, and nothing written, for any other text. */
  hex(text: string, length: number): boolean {
    if (text.length !== 2 * length) return false;
    const before = this.#length;
    this.head(2, length);
    this.#reserve(length);
    for (let i = 0; i < length; i++) {
      const high = HEX_VALUES[text.charCodeAt(2 * i)] ?? -1;
      const low = HEX_VALUES[text.charCodeAt(2 * i + 1)] ?? -1;
      if (high < 0 || low < 0) {
        this.#length = before;
        return false;
      }
      this.#buffer[this.#length + i] = (high << 4) | low;
    }
    this.#length += length;
    return true;
  }

  /** The bytes written since the last time; the writer starts anew. */
  finish(arena?: ByteArena): Bytes {
    let bytes: Bytes;
    if (arena) {
      bytes = arena.take(this.#length);
      bytes.set(this.#buffer.subarray(0, this.#length));
    } else bytes = this.#buffer.slice(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  get capacity(): number {
    return this.#buffer.length;
  }
}

function unsupported(what: string): Error {
  return kernelError('KERNEL_CBOR_UNSUPPORTED', `${what} has no canonical encoding`);
}

export function writeNumber(writer: CborWriter, value: number): void {
  if (Number.isSafeInteger(value)) {
    // −0 equals 0 and is written as it: one number, one encoding.
    if (value >= 0) writer.head(0, value + 0);
    else writer.head(1, -1 - value);
  } else if (Number.isInteger(value)) {
    throw unsupported(`integer ${value} beyond 2^53 (use bigint)`);
  } else if (Number.isFinite(value)) writer.float(value);
  else throw unsupported(String(value));
}

export function writeBigint(writer: CborWriter, value: bigint): void {
  if (value > MAX_U64 || value < MIN_I64_CBOR) throw unsupported('integer wider than 64 bits');
  if (value >= 0n) writer.bigHead(0, value);
  else writer.bigHead(1, -1n - value);
}

export interface PreparedKey {
  readonly key: string;
  readonly bytes: Bytes;
}

/** Keys in the order in which a map writes them. */
export function prepareKeys(keys: readonly string[]): readonly PreparedKey[] {
  const prepared = keys.map((key) => {
    if (!key.isWellFormed()) throw unsupported('text with a lone surrogate');
    return { key, bytes: utf8(key) };
  });
  return prepared.sort((a, b) => a.bytes.length - b.bytes.length || compareBytes(a.bytes, b.bytes));
}

/** A list of names, reached by one name after the other, and the order it is written in. */
interface Shape {
  readonly next: Map<string, Shape>;
  ordered: readonly PreparedKey[] | undefined;
}

/** Shapes that are written over and over. */
const knownShapes: Shape = { next: new Map(), ordered: undefined };
const KNOWN_SHAPES_MAX = 4096;
const KNOWN_NAME_CHARACTERS_MAX = 64;
let knownShapeCount = 0;

function nextShape(shape: Shape, key: string): Shape | undefined {
  const known = shape.next.get(key);
  if (known) return known;
  if (knownShapeCount >= KNOWN_SHAPES_MAX || key.length > KNOWN_NAME_CHARACTERS_MAX)
    return undefined;
  knownShapeCount++;
  const added: Shape = { next: new Map(), ordered: undefined };
  shape.next.set(key, added);
  return added;
}

function orderedKeys(value: CborMap): readonly PreparedKey[] {
  const keys = Object.keys(value);
  let shape: Shape | undefined = knownShapes;
  for (const key of keys) {
    if (value[key] === undefined) continue;
    shape = nextShape(shape, key);
    if (shape === undefined) return prepareKeys(keys.filter((name) => value[name] !== undefined));
  }
  return (shape.ordered ??= prepareKeys(keys.filter((name) => value[name] !== undefined)));
}

function writeMap(writer: CborWriter, value: CborMap, depth: number): void {
  const keys = orderedKeys(value);
  writer.head(5, keys.length);
  for (const { key, bytes } of keys) {
    writer.head(3, bytes.length);
    writer.raw(bytes);
    writeValue(writer, value[key] as CborValue, depth + 1);
  }
}

function writeCid(writer: CborWriter, cid: CID): void {
  writer.byte(0xd8);
  writer.byte(42);
  writer.head(2, cid.bytes.length + 1);
  writer.byte(0);
  writer.raw(cid.bytes);
}

export function writeValue(writer: CborWriter, value: CborValue, depth: number): void {
  if (depth > CBOR_MAX_DEPTH) throw kernelError('KERNEL_CBOR_LIMIT', 'value nested too deep');
  if (value === null) writer.byte(0xf6);
  else if (typeof value === 'boolean') writer.byte(value ? 0xf5 : 0xf4);
  else if (typeof value === 'number') writeNumber(writer, value);
  else if (typeof value === 'bigint') writeBigint(writer, value);
  else if (typeof value === 'string') {
    if (writer.shortAscii(value)) return;
    if (!value.isWellFormed()) throw unsupported('text with a lone surrogate');
    const bytes = utf8(value);
    writer.head(3, bytes.length);
    writer.raw(bytes);
  } else if (value instanceof Uint8Array) {
    writer.head(2, value.length);
    writer.raw(value);
  } else if (Array.isArray(value)) {
    writer.head(4, value.length);
    for (const item of value as readonly CborValue[]) writeValue(writer, item, depth + 1);
  } else if (value instanceof CID) writeCid(writer, value);
  else if (typeof value === 'object') writeMap(writer, value as CborMap, depth);
  else throw unsupported(typeof value);
}

/** Kept between calls, because making buffers costs more than small encodings themselves. */
let spare: CborWriter | undefined;
const SPARE_CAPACITY_MAX = 64 * 1024;

/** Runs `write` on a writer that is kept between calls. Into an arena when what is made lives as short. */
export function writtenBytes(write: (writer: CborWriter) => void, arena?: ByteArena): Bytes {
  const writer = spare ?? new CborWriter();
  spare = undefined; // not again before it is back, and never after a failure in the middle
  write(writer);
  const bytes = writer.finish(arena);
  if (writer.capacity <= SPARE_CAPACITY_MAX) spare = writer;
  return bytes;
}

/** The one canonical encoding of `value`. Entries that are `undefined` in maps are left out. */
export function encodeCbor(value: CborValue): Bytes {
  return writtenBytes((writer) => writeValue(writer, value, 0));
}
