/**
 * All leaves of the state tree in a range of keys, with the proof that none is left out: the tree cut
 * down to the range, everything beside it replaced by hashes. For copying a tree piece by piece from
 * peers that may lie.
 *
 *   node = 0 ‖ key ‖ value hash | 1 ‖ depth ‖ node ‖ node | 2 ‖ hash of what was cut off
 */
import { ByteArena, type Bytes, compareBytes, equalBytes, hexToBytes } from '#libs/kernel';
import { writeText } from './byte-text.ts';
import {
  Leaf,
  type Node,
  Unread,
  decodeBranch,
  decodeReference,
  hashOfNode,
  nodeAddress,
} from './state-nodes.ts';
import {
  EMPTY_STATE_ROOT,
  HASH_BYTES,
  KEY_BITS,
  bitAt,
  writeBranchHash,
  writeLeafHash,
} from './state-proof.ts';
import type { NodeReader } from './state-tree.ts';

const LEAF = 0;
const BRANCH = 1;
const CUT = 2;
const LEAF_BYTES = 1 + 2 * HASH_BYTES;
const CUT_BYTES = 1 + HASH_BYTES;

export interface StateLeaf {
  readonly key: Bytes;
  readonly valueHash: Bytes;
}

export interface StateRange {
  /** Every leaf with a key from the one asked for to below `next`, in key order. */
  readonly leaves: readonly StateLeaf[];
  /** Where the rest begins; absent when there is none. */
  readonly next?: Bytes;
}

/** Longest encoding of a range of so many leaves. */
export const stateRangeMaxBytes = (leaves: number): number =>
  (leaves + 2) * (LEAF_BYTES + 2) + 2 * KEY_BITS * (CUT_BYTES + 2);

/** The last key that shares the first `depth` bits with `key` and goes on with `bit`. */
function edgeKey(key: Bytes, depth: number, bit: 0 | 1, rest: 0 | 1): Bytes {
  const edge = new Uint8Array(HASH_BYTES).fill(rest === 1 ? 0xff : 0);
  const whole = depth >> 3;
  for (let i = 0; i < whole; i++) edge[i] = key[i] as number;
  const spare = depth & 7;
  const kept = (0xff << (8 - spare)) & 0xff;
  const own = bit === 1 ? 0x80 >> spare : 0;
  const tail = rest === 1 ? 0x7f >> spare : 0;
  edge[whole] = ((key[whole] as number) & kept) | own | tail;
  return edge;
}

class RangeWriter {
  readonly #reader: NodeReader;
  readonly #prefix: Bytes;
  readonly #from: Bytes;
  readonly #arena = new ByteArena();
  readonly #out: Bytes;
  #at = 0;
  #left: number;

  constructor(reader: NodeReader, prefix: Bytes, from: Bytes, maxLeaves: number) {
    this.#reader = reader;
    this.#prefix = prefix;
    this.#from = from;
    this.#left = maxLeaves;
    this.#out = new Uint8Array(stateRangeMaxBytes(maxLeaves));
  }

  get bytes(): Bytes {
    return this.#out.slice(0, this.#at);
  }

  write(node: Node): void {
    if (node instanceof Leaf) return this.#writeLeaf(node);
    const branch =
      node instanceof Unread
        ? decodeBranch(node, this.#reader.get(nodeAddress(this.#prefix, node, this.#arena)), 0)
        : node;
    this.#out[this.#at++] = BRANCH;
    this.#out[this.#at++] = branch.depth;
    const { left, right, path, depth } = branch;
    // The path ends at `depth`, inside its last byte or behind it.
    const key = new Uint8Array(HASH_BYTES);
    writeText(path, key, 0);
    const isBefore = compareBytes(edgeKey(key, depth, 0, 1), this.#from) < 0;
    if (isBefore) this.#cut(left);
    else this.write(left);
    // So that every branch shows a leaf, which says where in the tree it is.
    if (this.#left > 0) this.write(right);
    else this.#cut(right);
  }

  #writeLeaf({ key, valueHash }: Leaf): void {
    this.#out[this.#at] = LEAF;
    writeText(key, this.#out, this.#at + 1);
    writeText(valueHash, this.#out, this.#at + 1 + HASH_BYTES);
    const isInRange =
      compareBytes(this.#out.subarray(this.#at + 1, this.#at + 1 + HASH_BYTES), this.#from) >= 0;
    this.#at += LEAF_BYTES;
    if (isInRange) this.#left--;
  }

  #cut(node: Node): void {
    this.#out[this.#at] = CUT;
    writeText(hashOfNode(node), this.#out, this.#at + 1);
    this.#at += CUT_BYTES;
  }
}

/**
 * At most `maxLeaves` leaves from key `from` on, as bytes for `verifyStateRange`.
 * @throws MERKLE_NODE_CORRUPT
 */
export function readStateRange(
  reader: NodeReader,
  keyPrefix: Bytes,
  from: Bytes,
  maxLeaves: number,
): Bytes {
  const stored = reader.get(keyPrefix);
  if (!stored) return new Uint8Array();
  const writer = new RangeWriter(reader, keyPrefix, from, Math.max(1, maxLeaves));
  writer.write(decodeReference(stored));
  return writer.bytes;
}

/** A part of the tree as read: its hash, and a key below it unless it was cut off. */
interface Part {
  readonly hash: Bytes;
  readonly key?: Bytes;
}

class RangeReader {
  readonly #bytes: Bytes;
  readonly #from: Bytes;
  readonly leaves: StateLeaf[] = [];
  next: Bytes | undefined;
  #at = 0;
  #lastKey: Bytes | undefined;

  constructor(bytes: Bytes, from: Bytes) {
    this.#bytes = bytes;
    this.#from = from;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Undefined for anything that is not a range. */
  read(above: number): Part | undefined {
    const tag = this.#bytes[this.#at++];
    if (tag === LEAF) return this.#readLeaf();
    if (tag === CUT) {
      const hash = this.#take();
      return hash && { hash };
    }
    const depth = this.#bytes[this.#at++];
    if (tag !== BRANCH || depth === undefined || depth <= above) return undefined;
    const left = this.read(depth);
    const right = left && this.read(depth);
    if (!right || !this.#isPlaced(depth, left, right)) return undefined;
    const hash = new Uint8Array(HASH_BYTES);
    writeBranchHash(depth, left.hash, right.hash, hash);
    return { hash, key: (left.key ?? right.key) as Bytes };
  }

  /** Whether what was cut off lies outside the range. */
  #isPlaced(depth: number, left: Part, right: Part): boolean {
    if (left.key && bitAt(left.key, depth) !== 0) return false;
    if (right.key && bitAt(right.key, depth) !== 1) return false;
    if (!left.key) {
      if (!right.key) return false;
      return compareBytes(edgeKey(right.key, depth, 0, 1), this.#from) < 0;
    }
    if (!right.key) {
      const begins = edgeKey(left.key, depth, 1, 0);
      if (!this.next || compareBytes(begins, this.next) < 0) this.next = begins;
    }
    return true;
  }

  #readLeaf(): Part | undefined {
    const key = this.#take();
    const valueHash = key && this.#take();
    if (!valueHash) return undefined;
    if (this.#lastKey && compareBytes(this.#lastKey, key) >= 0) return undefined;
    this.#lastKey = key;
    if (compareBytes(key, this.#from) >= 0) this.leaves.push({ key, valueHash });
    const hash = new Uint8Array(HASH_BYTES);
    writeLeafHash(key, valueHash, hash);
    return { hash, key };
  }

  #take(): Bytes | undefined {
    const end = this.#at + HASH_BYTES;
    if (end > this.#bytes.length) return undefined;
    const bytes = this.#bytes.slice(this.#at, end);
    this.#at = end;
    return bytes;
  }
}

/** What a range proves under `root`, from key `from` on; undefined when it proves nothing. Never throws. */
export function verifyStateRange(root: string, from: Bytes, bytes: Bytes): StateRange | undefined {
  if (bytes.length === 0) return root === EMPTY_STATE_ROOT ? { leaves: [] } : undefined;
  const expected = hexToBytes(root);
  if (!expected || from.length !== HASH_BYTES) return undefined;
  const reader = new RangeReader(bytes, from);
  const whole = reader.read(-1);
  if (!whole?.key || !reader.isAtEnd || !equalBytes(whole.hash, expected)) return undefined;
  const { leaves, next } = reader;
  const last = leaves.at(-1);
  if (next && ((last && compareBytes(last.key, next) >= 0) || compareBytes(next, from) <= 0))
    return undefined;
  return { leaves, ...(next && { next }) };
}
