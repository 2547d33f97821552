/**
 * Nodes of the state tree in memory and in the store. A stored node is one branch with references to
 * its two children; leaves live inside their parent's record. A branch is addressed by the bits its
 * keys share, so its address never changes while it exists.
 */
import { type Bytes, equalBytes } from '#libs/kernel';
import { merkleError } from './errors.ts';
import { HASH_BYTES, writeBranchHash, writeLeafHash } from './state-proof.ts';

const LEAF_TAG = 0;
const BRANCH_TAG = 1;
const ARENA_CHUNK_BYTES = 128 * 1024;

/** Nodes own their hash buffer and hash into it again: updates allocate nothing. */
export class Leaf {
  readonly key: Bytes;
  valueHash: Bytes;
  readonly hash: Bytes = new Uint8Array(HASH_BYTES);
  /** The hash is not yet that of the contents. */
  dirty = true;

  constructor(key: Bytes, valueHash: Bytes) {
    this.key = key;
    this.valueHash = valueHash;
  }
}

/** A branch known by its hash only, not yet loaded or put out of memory again. */
export class Stub {
  readonly depth: number;
  readonly path: Bytes;
  readonly hash: Bytes;
  readonly dirty = false;

  constructor(depth: number, path: Bytes, hash: Bytes) {
    this.depth = depth;
    this.path = path;
    this.hash = hash;
  }
}

export class Branch {
  readonly depth: number;
  /** The `depth` bits that all keys below share, in whole bytes, the rest zero. */
  readonly path: Bytes;
  left: Node;
  right: Node;
  readonly hash: Bytes = new Uint8Array(HASH_BYTES);
  /** Changed since the hash was computed; never after a commit. */
  dirty = true;
  /** Commit in which the branch was last looked at; a parent's is never below its child's. */
  usedAt: number;
  /** Commit that last changed the branch: until the next one the store may not have it. */
  writtenAt = -1;

  constructor(depth: number, path: Bytes, left: Node, right: Node, usedAt: number) {
    this.depth = depth;
    this.path = path;
    this.left = left;
    this.right = right;
    this.usedAt = usedAt;
  }
}

export type Node = Leaf | Stub | Branch;

/** The first `depth` bits of a key in whole bytes. */
export function pathOf(key: Bytes, depth: number): Bytes {
  const path = key.slice(0, (depth + 7) >> 3);
  const spare = path.length * 8 - depth;
  if (spare > 0) path[path.length - 1] = (path[path.length - 1] as number) & (0xff << spare) & 0xff;
  return path;
}

/** First bit, at most `limit`, at which two keys (or a key and a path of `limit` bits) differ. */
export function partingBit(a: Bytes, b: Bytes, limit: number): number {
  const length = Math.min(a.length, b.length, (limit + 7) >> 3);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) ^ (b[i] as number);
    if (difference !== 0) return Math.min(limit, i * 8 + Math.clz32(difference) - 24);
  }
  return limit;
}

/** prefix ‖ depth ‖ path; the root reference lies at the bare prefix. */
export function nodeAddress(
  prefix: Bytes,
  { depth, path }: Stub | Branch,
  arena: ByteArena,
): Bytes {
  const at = prefix.length;
  const address = arena.take(at + 1 + path.length);
  address.set(prefix);
  address[at] = depth;
  for (let i = 0; i < path.length; i++) address[at + 1 + i] = path[i] as number;
  return address;
}

/** The hash of a node, computed anew where something below has changed. */
export function hashOfNode(node: Node): Bytes {
  if (!node.dirty) return node.hash;
  if (node instanceof Branch)
    writeBranchHash(node.depth, hashOfNode(node.left), hashOfNode(node.right), node.hash);
  else if (node instanceof Leaf) writeLeafHash(node.key, node.valueHash, node.hash);
  if (!(node instanceof Stub)) node.dirty = false;
  return node.hash;
}

/**
 * Cuts many small arrays out of few large ones: V8 gives every array above 64 bytes memory of its
 * own from the system, which took a third of a commit.
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

const referenceBytes = (node: Node): number =>
  node instanceof Leaf ? 1 + 2 * HASH_BYTES : 2 + node.path.length + HASH_BYTES;

function writeReference(out: Bytes, at: number, node: Node): number {
  const isLeaf = node instanceof Leaf;
  const first = isLeaf ? node.key : node.path;
  const second = isLeaf ? node.valueHash : hashOfNode(node);
  out[at] = isLeaf ? LEAF_TAG : BRANCH_TAG;
  let next = at + 1;
  if (!isLeaf) out[next++] = node.depth;
  for (let i = 0; i < first.length; i++) out[next++] = first[i] as number;
  for (let i = 0; i < HASH_BYTES; i++) out[next++] = second[i] as number;
  return next;
}

/** Stored form of one reference: the root's. */
export function encodeReference(node: Node): Bytes {
  const out = new Uint8Array(referenceBytes(node));
  writeReference(out, 0, node);
  return out;
}

/** Stored form of a branch: the references of its children. */
export function encodeBranch(branch: Branch, arena: ByteArena): Bytes {
  const out = arena.take(referenceBytes(branch.left) + referenceBytes(branch.right));
  writeReference(out, writeReference(out, 0, branch.left), branch.right);
  return out;
}

const corrupt = (what: string) => merkleError('MERKLE_NODE_CORRUPT', what);

function readReference(bytes: Bytes, at: number): readonly [Node, number] {
  const isLeaf = bytes[at] === LEAF_TAG;
  if (!isLeaf && bytes[at] !== BRANCH_TAG) throw corrupt('a node record has an unknown tag');
  const depth = bytes[at + 1] ?? 0;
  const middle = isLeaf ? at + 1 + HASH_BYTES : at + 2 + ((depth + 7) >> 3);
  const end = middle + HASH_BYTES;
  if (end > bytes.length) throw corrupt('a node record is cut off');
  const hash = bytes.slice(middle, end);
  return isLeaf
    ? [new Leaf(bytes.slice(at + 1, middle), hash), end]
    : [new Stub(depth, bytes.slice(at + 2, middle), hash), end];
}

/** @throws MERKLE_NODE_CORRUPT */
export function decodeReference(bytes: Bytes): Node {
  const [node, end] = readReference(bytes, 0);
  if (end !== bytes.length) throw corrupt('the root record has trailing data');
  return node;
}

/** Loads a branch and checks it against the hash its parent knows. @throws MERKLE_NODE_CORRUPT */
export function decodeBranch(stub: Stub, bytes: Bytes | undefined, usedAt: number): Branch {
  if (!bytes) throw corrupt(`the branch at bit ${stub.depth} is not in the store`);
  const [left, middle] = readReference(bytes, 0);
  const [right, end] = readReference(bytes, middle);
  if (end !== bytes.length) throw corrupt('a branch record has trailing data');
  const branch = new Branch(stub.depth, stub.path, left, right, usedAt);
  if (!equalBytes(hashOfNode(branch), stub.hash))
    throw corrupt(`the branch at bit ${stub.depth} does not match its hash`);
  return branch;
}
