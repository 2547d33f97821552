/**
 * Nodes of the state tree in memory and in the store. A stored node is one branch with references to
 * its two children; leaves live inside their parent's record. A branch is addressed by the bits its
 * keys share, so its address never changes while it exists.
 */
import { sha256Text } from '#libs/crypto';
import type { ByteArena, Bytes } from '#libs/kernel';
import { type ByteText, bytesToText, writeText } from './byte-text.ts';
import { merkleError } from './errors.ts';
import type { NodeWrites } from './node-writes.ts';
import { HASH_BYTES } from './state-proof.ts';

const LEAF_TAG = 0;
const BRANCH_TAG = 1;

export class Leaf {
  readonly key: ByteText;
  valueHash: ByteText;
  hash: ByteText = '';
  /** The hash is not yet that of the contents. */
  dirty = true;

  constructor(key: ByteText, valueHash: ByteText) {
    this.key = key;
    this.valueHash = valueHash;
  }
}

/** A branch known by its hash only, not yet loaded or put out of memory again. */
export class Unread {
  readonly depth: number;
  readonly path: ByteText;
  readonly hash: ByteText;
  readonly dirty = false;

  constructor(depth: number, path: ByteText, hash: ByteText) {
    this.depth = depth;
    this.path = path;
    this.hash = hash;
  }
}

export class Branch {
  readonly depth: number;
  /** The `depth` bits that all keys below share, in whole bytes, the rest zero. */
  readonly path: ByteText;
  left: Node;
  right: Node;
  hash: ByteText = '';
  /** Changed since the hash was computed; never after a commit. */
  dirty = true;
  /** Commit in which the branch was last looked at; a parent's is never below its child's. */
  usedAt: number;
  /** Commit that last changed the branch: until the next one the store may not have it. */
  writtenAt = -1;

  constructor(depth: number, path: ByteText, left: Node, right: Node, usedAt: number) {
    this.depth = depth;
    this.path = path;
    this.left = left;
    this.right = right;
    this.usedAt = usedAt;
  }
}

export type Node = Leaf | Unread | Branch;

/** The first `depth` bits of a key in whole bytes. */
export function pathOf(key: ByteText, depth: number): ByteText {
  const whole = depth >> 3;
  const bits = depth & 7;
  if (bits === 0) return key.slice(0, whole);
  return key.slice(0, whole) + String.fromCharCode(key.charCodeAt(whole) & (0xff00 >> bits) & 0xff);
}

/** First bit, at most `limit`, at which two keys (or a key and a path of `limit` bits) differ. */
export function partingBit(a: ByteText, b: ByteText, limit: number): number {
  const length = Math.min(a.length, b.length, (limit + 7) >> 3);
  for (let i = 0; i < length; i++) {
    const difference = a.charCodeAt(i) ^ b.charCodeAt(i);
    if (difference !== 0) return Math.min(limit, i * 8 + Math.clz32(difference) - 24);
  }
  return limit;
}

/** prefix ‖ depth ‖ path; the root reference lies at the bare prefix. */
export function nodeAddress(
  prefix: Bytes,
  { depth, path }: Unread | Branch,
  arena: ByteArena,
): Bytes {
  const address = arena.take(prefix.length + 1 + path.length);
  writeAddress(prefix, depth, path, address, 0);
  return address;
}

function writeAddress(
  prefix: Bytes,
  depth: number,
  path: ByteText,
  out: Bytes,
  at: number,
): number {
  for (let i = 0; i < prefix.length; i++) out[at + i] = prefix[i] as number;
  out[at + prefix.length] = depth;
  return writeText(path, out, at + prefix.length + 1);
}

/** What is hashed: 0x00 ‖ key ‖ value hash, and 0x01 ‖ depth ‖ left ‖ right (state-proof.ts). */
const leafInput = new Uint8Array(1 + 2 * HASH_BYTES);
const branchInput = new Uint8Array(2 + 2 * HASH_BYTES).fill(1, 0, 1);

/** The hash of a node, computed anew where something below has changed. */
export function hashOfNode(node: Node): ByteText {
  if (!node.dirty) return node.hash;
  if (node instanceof Branch) {
    const left = hashOfNode(node.left);
    const right = hashOfNode(node.right);
    branchInput[1] = node.depth;
    writeText(right, branchInput, writeText(left, branchInput, 2));
    node.hash = sha256Text(branchInput);
  } else if (node instanceof Leaf) {
    writeText(node.valueHash, leafInput, writeText(node.key, leafInput, 1));
    node.hash = sha256Text(leafInput);
  }
  if (!(node instanceof Unread)) node.dirty = false;
  return node.hash;
}

const referenceBytes = (node: Node): number =>
  node instanceof Leaf ? 1 + 2 * HASH_BYTES : 2 + node.path.length + HASH_BYTES;

function writeReference(out: Bytes, at: number, node: Node): number {
  if (node instanceof Leaf) {
    out[at] = LEAF_TAG;
    return writeText(node.valueHash, out, writeText(node.key, out, at + 1));
  }
  out[at] = BRANCH_TAG;
  out[at + 1] = node.depth;
  return writeText(hashOfNode(node), out, writeText(node.path, out, at + 2));
}

/** Notes the stored form of the root's reference, or that there is none. */
export function saveReference(writes: NodeWrites, prefix: Bytes, root: Node | null): void {
  const at = writes.add(prefix.length, root ? referenceBytes(root) : undefined);
  const out = writes.buffer;
  out.set(prefix, at);
  if (root) writeReference(out, at + prefix.length, root);
}

/** Notes the stored form of a branch: the references of its children. */
export function saveBranch(writes: NodeWrites, prefix: Bytes, branch: Branch): void {
  const { depth, path, left, right } = branch;
  const sizeBytes = referenceBytes(left) + referenceBytes(right);
  const at = writes.add(prefix.length + 1 + path.length, sizeBytes);
  const out = writes.buffer;
  const valueAt = writeAddress(prefix, depth, path, out, at);
  writeReference(out, writeReference(out, valueAt, left), right);
}

/** Notes that a branch is no more. */
export function removeBranch(writes: NodeWrites, prefix: Bytes, { depth, path }: Branch): void {
  const at = writes.add(prefix.length + 1 + path.length, undefined);
  writeAddress(prefix, depth, path, writes.buffer, at);
}

const corrupt = (what: string) => merkleError('MERKLE_NODE_CORRUPT', what);

function readReference(bytes: Bytes, at: number): readonly [Node, number] {
  const isLeaf = bytes[at] === LEAF_TAG;
  if (!isLeaf && bytes[at] !== BRANCH_TAG) throw corrupt('a node record has an unknown tag');
  const depth = bytes[at + 1] ?? 0;
  const middle = isLeaf ? at + 1 + HASH_BYTES : at + 2 + ((depth + 7) >> 3);
  const end = middle + HASH_BYTES;
  if (end > bytes.length) throw corrupt('a node record is cut off');
  const hash = bytesToText(bytes, middle, end);
  return isLeaf
    ? [new Leaf(bytesToText(bytes, at + 1, middle), hash), end]
    : [new Unread(depth, bytesToText(bytes, at + 2, middle), hash), end];
}

/** @throws MERKLE_NODE_CORRUPT */
export function decodeReference(bytes: Bytes): Node {
  const [node, end] = readReference(bytes, 0);
  if (end !== bytes.length) throw corrupt('the root record has trailing data');
  return node;
}

/** Loads a branch and checks it against the hash its parent knows. @throws MERKLE_NODE_CORRUPT */
export function decodeBranch(unread: Unread, bytes: Bytes | undefined, usedAt: number): Branch {
  if (!bytes) throw corrupt(`the branch at bit ${unread.depth} is not in the store`);
  const [left, middle] = readReference(bytes, 0);
  const [right, end] = readReference(bytes, middle);
  if (end !== bytes.length) throw corrupt('a branch record has trailing data');
  const branch = new Branch(unread.depth, unread.path, left, right, usedAt);
  if (hashOfNode(branch) !== unread.hash)
    throw corrupt(`the branch at bit ${unread.depth} does not match its hash`);
  return branch;
}
