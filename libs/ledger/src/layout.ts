/**
 * How a chain lies in a key-value store. One byte says what a key is:
 *
 *   01 'genesis', 01 'head'      genesis bytes; height of the last block
 *   01 'floor'                   height of the first block, where the state below was copied
 *   01 'changed', height mod 64  what follows from that block in 05 and 07, where it is not written
 *                                (unwritten.ts)
 *   02 height                    header and certificate
 *   03 height, 04 height         transactions, receipts (packed lists)
 *   05 transaction id            height, index, and where its receipt lies in the packed list
 *   06 contract, key             state entries, in key order per contract
 *   07 …                         nodes of the state tree
 *   08 … 0a                      what the ordering keeps beside the chain
 *   0b era                       how the validators of that era follow from those before
 */
import {
  type ByteArena,
  type Bytes,
  type KeyValueReader,
  type KeyValueWrite,
  concatBytes,
  hexToBytes,
  utf8,
  writeHex,
} from '#libs/kernel';
import type { StateReader } from './journal.ts';

export const GENESIS_KEY = concatBytes(Uint8Array.of(1), utf8('genesis'));
export const HEAD_KEY = concatBytes(Uint8Array.of(1), utf8('head'));
export const FLOOR_KEY = concatBytes(Uint8Array.of(1), utf8('floor'));
/** More than blocks are ever not written. */
export const CHANGED_SLOTS = 64;
export const changedKey = (height: number): Bytes =>
  concatBytes(Uint8Array.of(1), utf8('changed'), Uint8Array.of(height % CHANGED_SLOTS));
export const TREE_PREFIX = Uint8Array.of(7);
/** Keys that the ordering keeps beside the chain. */
export const ORDERING = { start: Uint8Array.of(8), end: Uint8Array.of(16) };
const STATE = 6;

function heightKey(kind: number, height: number): Bytes {
  const key = new Uint8Array(9);
  key[0] = kind;
  new DataView(key.buffer).setBigUint64(1, BigInt(height));
  return key;
}

export const headerKey = (height: number): Bytes => heightKey(2, height);
export const transactionsKey = (height: number): Bytes => heightKey(3, height);
export const receiptsKey = (height: number): Bytes => heightKey(4, height);
/** A change of validators, by the era from which it is in force. */
export const handoverKey = (era: number): Bytes => heightKey(11, era);
export const HANDOVERS = { start: Uint8Array.of(11), end: Uint8Array.of(12) };
const INDEX = 5;
export const indexKey = (transactionId: string): Bytes =>
  concatBytes(Uint8Array.of(INDEX), hexToBytes(transactionId) ?? new Uint8Array());

const statePrefixes = new Map<string, Bytes>();

function statePrefix(contract: string): Bytes {
  let prefix = statePrefixes.get(contract);
  if (prefix === undefined) {
    const name = utf8(contract);
    prefix = concatBytes(Uint8Array.of(STATE, name.length), name);
    // Contract names come from code, but reads may ask for any.
    if (statePrefixes.size < 1_000) statePrefixes.set(contract, prefix);
  }
  return prefix;
}

/** @param arena where the keys of one block lie together */
export function stateKey(contract: string, key: Bytes, arena?: ByteArena): Bytes {
  const prefix = statePrefix(contract);
  if (!arena) return concatBytes(prefix, key);
  const bytes = arena.take(prefix.length + key.length);
  bytes.set(prefix);
  bytes.set(key, prefix.length);
  return bytes;
}

/** Every state entry, of all contracts. */
export const STATE_RANGE = { start: Uint8Array.of(STATE), end: Uint8Array.of(STATE + 1) };

/** The contract and key of a state entry's store key; undefined when it is malformed. */
export function readStateKey(
  stored: Bytes,
): { readonly contractName: Bytes; readonly key: Bytes } | undefined {
  const nameEnd = 2 + (stored[1] ?? 0);
  if (stored.length < nameEnd) return undefined;
  return { contractName: stored.subarray(2, nameEnd), key: stored.subarray(nameEnd) };
}

/** The first key after all keys that begin with `prefix` (which is never all 0xff here). */
function afterPrefix(prefix: Bytes): Bytes {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  const end = prefix.slice(0, length);
  end[length - 1] = (end[length - 1] as number) + 1;
  return end;
}

/** State entries as the journal reads them. */
export function stateReaderOf(store: KeyValueReader): StateReader {
  return {
    get: (contract, key) => store.get(stateKey(contract, key)),
    *scan(contract, prefix, cursor) {
      const base = statePrefix(contract);
      const whole = concatBytes(base, prefix);
      const after = cursor && concatBytes(base, cursor, Uint8Array.of(0));
      const isLater = after && compareTo(after, whole) > 0;
      const range = { start: isLater ? after : whole, end: afterPrefix(whole) };
      if (compareTo(range.start, range.end) >= 0) return;
      for (const [key, value] of store.range(range)) yield [key.slice(base.length), value] as const;
    },
  };
}

function compareTo(a: Bytes, b: Bytes): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number);
  return a.length - b.length;
}

export function encodeHeight(height: number): Bytes {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(height));
  return bytes;
}

export function decodeHeight(bytes: Bytes): number | undefined {
  if (bytes.length !== 8) return undefined;
  const value = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}

/** The first block that a store has; 0 where nothing was copied. */
export function firstHeightOf(reader: KeyValueReader): number {
  const stored = reader.get(FLOOR_KEY);
  return (stored && decodeHeight(stored)) ?? 0;
}

/** Bytes before the first item of a packed list. */
export const packedListHead = (items: number): number => 4 + 4 * items;

/** A list of byte strings: count, lengths (u32, big endian), contents. */
export function packList(items: readonly Bytes[]): Bytes {
  let offset = packedListHead(items.length);
  let size = offset;
  for (const { length } of items) size += length;
  const packed = new Uint8Array(size);
  const view = new DataView(packed.buffer);
  view.setUint32(0, items.length);
  for (let i = 0; i < items.length; i++) {
    const item = items[i] as Bytes;
    view.setUint32(4 + 4 * i, item.length);
    packed.set(item, offset);
    offset += item.length;
  }
  return packed;
}

/** Undefined when the list is damaged. */
export function unpackList(packed: Bytes): Bytes[] | undefined {
  if (packed.length < 4) return undefined;
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const count = view.getUint32(0);
  let offset = packedListHead(count);
  if (offset > packed.length) return undefined;
  const items: Bytes[] = [];
  for (let i = 0; i < count; i++) {
    const length = view.getUint32(4 + 4 * i);
    if (length > packed.length - offset) return undefined;
    items.push(packed.subarray(offset, offset + length));
    offset += length;
  }
  return offset === packed.length ? items : undefined;
}

/** Where a transaction's receipt lies. */
export interface ReceiptPlace {
  readonly height: number;
  readonly index: number;
  readonly offset: number;
  readonly length: number;
}

const INDEX_KEY_BYTES = 1 + 32;
const PLACE_BYTES = 20;

/** Entries of the index, in one array. */
export function indexEntries(
  places: readonly (readonly [transaction: string, place: ReceiptPlace])[],
): KeyValueWrite[] {
  const bytes = new Uint8Array((INDEX_KEY_BYTES + PLACE_BYTES) * places.length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  return places.map(([transaction, { height, index, offset, length }]) => {
    bytes[at] = INDEX;
    writeHex(transaction, bytes, at + 1);
    const valueAt = at + INDEX_KEY_BYTES;
    view.setBigUint64(valueAt, BigInt(height));
    view.setUint32(valueAt + 8, index);
    view.setUint32(valueAt + 12, offset);
    view.setUint32(valueAt + 16, length);
    const key = bytes.subarray(at, valueAt);
    at = valueAt + PLACE_BYTES;
    return { key, value: bytes.subarray(valueAt, at) };
  });
}

export function decodePlace(bytes: Bytes): ReceiptPlace | undefined {
  if (bytes.length !== 20) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 20);
  return {
    height: Number(view.getBigUint64(0)),
    index: view.getUint32(8),
    offset: view.getUint32(12),
    length: view.getUint32(16),
  };
}
