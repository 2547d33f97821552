/**
 * Canonical DAG-CBOR, reading half: refuses whatever `encodeCbor` would not have written, so that
 * decode(encode(x)) = x and encode(decode(b)) = b for every accepted b. Bounded in size and depth.
 */
import { CID } from 'multiformats/cid';
import { type Bytes, equalBytes, utf8Decode } from './bytes.ts';
import { CBOR_MAX_DEPTH, type CborMap, type CborValue } from './cbor-encode.ts';
import { kernelError } from './errors.ts';

export interface CborLimits {
  /** Largest accepted encoding in bytes. */
  readonly maxBytes?: number;
  /** Deepest accepted nesting of lists and maps. */
  readonly maxDepth?: number;
}

export const CBOR_DEFAULT_MAX_BYTES = 4 * 1024 * 1024;

/** Names of map keys that were read before, by a hash of their bytes: one copy of each. */
const knownNames: (string | undefined)[] = Array.from({ length: 1024 }, () => undefined);
const KNOWN_NAME_BYTES = 32;

/** Text of a short ASCII name; undefined for any other bytes. */
function nameAt(bytes: Bytes, start: number, end: number): string | undefined {
  if (end - start > KNOWN_NAME_BYTES) return undefined;
  let hash = 0;
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0;
  const slot = hash & 1023;
  const known = knownNames[slot];
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
  knownNames[slot] = text;
  return text;
}

/** Canonical order of keys: shorter first, equal lengths by their bytes. */
function compareRanges(bytes: Bytes, a: number, aEnd: number, b: number, bEnd: number): number {
  const byLength = aEnd - a - (bEnd - b);
  if (byLength !== 0) return byLength;
  for (let i = 0; a + i < aEnd; i++) {
    const difference = (bytes[a + i] as number) - (bytes[b + i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

function malformed(what: string, offset: number): Error {
  return kernelError('KERNEL_CBOR_INVALID', `${what} at byte ${offset}`, { detail: { offset } });
}

/**
 * Whether a CID is written as these bytes: its numbers in their shortest form, and version 0, which has no
 * number of its own, without one.
 */
function isWrittenAs(cid: CID, bytes: Bytes): boolean {
  const { version, code, multihash } = cid;
  const { size } = multihash;
  const plain =
    version === 1 && bytes.length === 4 + size && bytes[1] === code && bytes[2] === multihash.code;
  return plain || equalBytes(CID.parse(cid.toString()).bytes, bytes);
}

class Reader {
  readonly #bytes: Bytes;
  /** Made when a wide number is read: most values have none. */
  #lazyView: DataView | undefined;
  readonly #maxDepth: number;
  #offset = 0;

  constructor(bytes: Bytes, maxDepth: number) {
    // Plain, whatever came: `slice` of a Buffer is a view, and decoded bytes are copies.
    this.#bytes =
      bytes.constructor === Uint8Array
        ? bytes
        : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#maxDepth = maxDepth;
  }

  get #view(): DataView {
    const { buffer, byteOffset, byteLength } = this.#bytes;
    return (this.#lazyView ??= new DataView(buffer, byteOffset, byteLength));
  }

  get atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  get offset(): number {
    return this.#offset;
  }

  #need(count: number): void {
    if (count > this.#bytes.length - this.#offset) throw malformed('truncated data', this.#offset);
  }

  /** The argument of a head byte, refused unless it is in its shortest form. */
  #argument(info: number): number | bigint {
    const at = this.#offset;
    if (info < 24) return info;
    if (info === 24) {
      this.#need(1);
      const value = this.#bytes[this.#offset++] as number;
      if (value < 24) throw malformed('integer not in shortest form', at);
      return value;
    }
    if (info === 25) {
      this.#need(2);
      const value = this.#view.getUint16(this.#offset);
      this.#offset += 2;
      if (value < 0x100) throw malformed('integer not in shortest form', at);
      return value;
    }
    if (info === 26) {
      this.#need(4);
      const value = this.#view.getUint32(this.#offset);
      this.#offset += 4;
      if (value < 0x10000) throw malformed('integer not in shortest form', at);
      return value;
    }
    if (info === 27) {
      this.#need(8);
      const value = this.#view.getBigUint64(this.#offset);
      this.#offset += 8;
      if (value < 0x100000000n) throw malformed('integer not in shortest form', at);
      return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
    }
    throw malformed('indefinite or reserved length', at);
  }

  #length(info: number): number {
    const length = this.#argument(info);
    // Every counted item takes at least one byte, so a longer claim is a lie about the input.
    if (length > this.#bytes.length - this.#offset) throw malformed('truncated data', this.#offset);
    return Number(length);
  }

  #take(length: number): Bytes {
    const part = this.#bytes.subarray(this.#offset, this.#offset + length);
    this.#offset += length;
    return part;
  }

  #text(info: number): string {
    return this.#textOf(this.#length(info));
  }

  #textOf(length: number): string {
    const at = this.#offset;
    try {
      return utf8Decode(this.#take(length));
    } catch {
      throw malformed('malformed UTF-8', at);
    }
  }

  #map(info: number, depth: number): CborMap {
    const count = this.#length(info);
    const out = Object.create(null) as Record<string, CborValue>;
    let previousStart = 0;
    let previousEnd = 0;
    for (let i = 0; i < count; i++) {
      this.#need(1);
      const at = this.#offset;
      const head = this.#bytes[this.#offset++] as number;
      if (head >> 5 !== 3) throw malformed('map key that is not text', at);
      const length = this.#length(head & 31);
      const start = this.#offset;
      const end = start + length;
      const key = nameAt(this.#bytes, start, end) ?? this.#textOf(length);
      this.#offset = end;
      const order =
        i === 0 ? -1 : compareRanges(this.#bytes, previousStart, previousEnd, start, end);
      if (order >= 0) throw malformed(order === 0 ? 'duplicate map key' : 'unsorted map keys', at);
      previousStart = start;
      previousEnd = end;
      out[key] = this.value(depth + 1);
    }
    return out;
  }

  #cid(info: number, at: number): CID {
    if (this.#argument(info) !== 42) throw malformed('tag other than 42 (CID)', at);
    this.#need(1);
    const head = this.#bytes[this.#offset++] as number;
    if (head >> 5 !== 2) throw malformed('CID that is not bytes', at);
    const bytes = this.#take(this.#length(head & 31));
    if (bytes[0] !== 0) throw malformed('CID without its zero prefix', at);
    let cid: CID;
    try {
      const given = bytes.slice(1);
      cid = CID.decode(given);
      if (isWrittenAs(cid, given)) return cid;
    } catch {
      throw malformed('malformed CID', at);
    }
    throw malformed('CID not in its shortest form', at);
  }

  #simple(info: number, at: number): CborValue {
    if (info === 20) return false;
    if (info === 21) return true;
    if (info === 22) return null;
    if (info !== 27) throw malformed('unsupported simple value or short float', at);
    this.#need(8);
    const value = this.#view.getFloat64(this.#offset);
    this.#offset += 8;
    if (!Number.isFinite(value)) throw malformed('float that is not finite', at);
    if (Number.isInteger(value)) throw malformed('whole number written as a float', at);
    return value;
  }

  value(depth: number): CborValue {
    if (depth > this.#maxDepth)
      throw kernelError('KERNEL_CBOR_LIMIT', `nested deeper than ${this.#maxDepth} levels`);
    const at = this.#offset;
    this.#need(1);
    const head = this.#bytes[this.#offset++] as number;
    const info = head & 31;
    switch (head >> 5) {
      case 0:
        return this.#argument(info);
      case 1: {
        const argument = this.#argument(info);
        if (typeof argument === 'number' && argument < Number.MAX_SAFE_INTEGER)
          return -1 - argument;
        return -1n - BigInt(argument);
      }
      case 2:
        return this.#take(this.#length(info)).slice();
      case 3:
        return this.#text(info);
      case 4: {
        const count = this.#length(info);
        const list: CborValue[] = [];
        for (let i = 0; i < count; i++) list.push(this.value(depth + 1));
        return list;
      }
      case 5:
        return this.#map(info, depth);
      case 6:
        return this.#cid(info, at);
      default:
        return this.#simple(info, at);
    }
  }
}

/**
 * Reads exactly one canonical value. Integers within ±(2^53−1) come back as `number`, wider ones as
 * `bigint`; maps have no prototype.
 *
 * @throws KERNEL_CBOR_INVALID on malformed, truncated, trailing or non-canonical input
 * @throws KERNEL_CBOR_LIMIT on input over `maxBytes` or deeper than `maxDepth`
 */
export function decodeCbor(bytes: Bytes, limits: CborLimits = {}): CborValue {
  const maxBytes = limits.maxBytes ?? CBOR_DEFAULT_MAX_BYTES;
  if (bytes.length > maxBytes)
    throw kernelError('KERNEL_CBOR_LIMIT', `${bytes.length} bytes where ${maxBytes} are allowed`, {
      detail: { sizeBytes: bytes.length, maxBytes },
    });
  const reader = new Reader(bytes, Math.min(limits.maxDepth ?? CBOR_MAX_DEPTH, CBOR_MAX_DEPTH));
  const value = reader.value(0);
  if (!reader.atEnd) throw malformed('trailing data', reader.offset);
  return value;
}
