/**
 * The state tree: a compact sparse Merkle tree that lives in a key-value store. Nodes load lazily;
 * a commit applies all changes of a batch in one sorted descent, so every touched node is hashed
 * once. The root depends on the contents alone, never on the history that led to them.
 */
import { ByteArena, type Bytes, type KeyValueWrite, bytesToHex } from '#libs/kernel';
import { type ByteText, bytesToText, textBitAt, textToBytes } from './byte-text.ts';
import { merkleError } from './errors.ts';
import { NodeWrites } from './node-writes.ts';
import { type Change, changeOf, compareText, inKeyOrder, splitAt } from './state-changes.ts';
import {
  Branch,
  Leaf,
  type Node,
  Unread,
  decodeBranch,
  decodeReference,
  hashOfNode,
  nodeAddress,
  partingBit,
  pathOf,
  removeBranch,
  saveBranch,
  saveReference,
} from './state-nodes.ts';
import {
  EMPTY_STATE_ROOT,
  HASH_BYTES,
  KEY_BITS,
  type StateProof,
  bitAt,
  stateProofOf,
} from './state-proof.ts';

/** Where committed nodes are read from: a store or a snapshot of one. */
export interface NodeReader {
  get(key: Bytes): Bytes | undefined;
}

export interface StateTreeOptions {
  readonly reader: NodeReader;
  /** Put before every node's key in the store. */
  readonly keyPrefix?: Bytes;
  /** Most branches kept in memory after a commit or a read (about 400 bytes each). */
  readonly maxCachedNodes?: number;
}

export interface StateCommit {
  /** Root after the batch, hex. */
  readonly root: string;
  /**
   * What must reach the store in one atomic commit. The tree keeps what it wrote last in memory, so
   * the next batch may be prepared meanwhile, but not committed before these are stored.
   */
  readonly writes: readonly KeyValueWrite[];
  /** The same, for who does not store them at once. */
  readonly nodes: NodeWrites;
}

const DEFAULT_MAX_CACHED_NODES = 200_000;
const SPARE = 1.125;

/** Whether a child still has the hash its parent was computed with; loading it changes nothing. */
function isUnchanged(before: Node, after: Node): boolean {
  if (after.dirty) return false;
  return before === after || (before instanceof Unread && before.hash === hashOfNode(after));
}

/** The same leaf with another value; clean when the value is the one it has. */
function rewritten(leaf: Leaf, valueHash: ByteText): Leaf {
  if (leaf.valueHash !== valueHash) {
    leaf.valueHash = valueHash;
    leaf.dirty = true;
  }
  return leaf;
}

export class StateTree {
  readonly #reader: NodeReader;
  readonly #prefix: Bytes;
  readonly #maxCached: number;
  #root: Node | null;
  #pending: Change[] = [];
  #writes = new NodeWrites();
  /** Grows with every commit and read; the age of what is cached. */
  #now = 0;
  #cached = 0;
  #committedAt = 0;
  /** Written per change by the last commit, and a little more. */
  #bytesPerChange = 0;
  #arena = new ByteArena();

  /** @throws MERKLE_NODE_CORRUPT */
  constructor(options: StateTreeOptions) {
    this.#reader = options.reader;
    this.#prefix = options.keyPrefix ?? new Uint8Array();
    this.#maxCached = options.maxCachedNodes ?? DEFAULT_MAX_CACHED_NODES;
    const stored = this.#reader.get(this.#prefix);
    this.#root = stored ? decodeReference(stored) : null;
  }

  /** Root of the last commit, hex. */
  get root(): string {
    return this.#root ? bytesToHex(textToBytes(hashOfNode(this.#root))) : EMPTY_STATE_ROOT;
  }

  /** Branches in memory. */
  get cachedNodes(): number {
    return this.#cached;
  }

  /** Notes a change for the next commit; null deletes. The last change of a key wins. @throws MERKLE_KEY_INVALID */
  update(key: Bytes, valueHash: Bytes | null): void {
    this.updateText(bytesToText(key), valueHash && bytesToText(valueHash));
  }

  /** The same for a key and a hash that are text already, as `sha256Text` makes them. @throws MERKLE_KEY_INVALID */
  updateText(key: ByteText, valueHash: ByteText | null): void {
    if (key.length !== HASH_BYTES || (valueHash && valueHash.length !== HASH_BYTES))
      throw merkleError('MERKLE_KEY_INVALID', `a key or hash that has not ${HASH_BYTES} bytes`);
    this.#pending.push(changeOf(key, valueHash));
  }

  /** Forgets the changes noted since the last commit. */
  discard(): void {
    this.#pending = [];
  }

  /** Applies the noted changes. @throws MERKLE_NODE_CORRUPT, after which the tree must be reopened */
  commit(): StateCommit {
    this.#now++;
    this.#arena = new ByteArena();
    const changes = inKeyOrder(this.#pending);
    this.#pending = [];
    const nodes = new NodeWrites(Math.ceil(changes.length * this.#bytesPerChange));
    this.#writes = nodes;
    if (changes.length > 0) {
      const before = this.root;
      this.#root = this.#apply(this.#root, changes, 0, changes.length, 0);
      if (this.#root instanceof Branch) this.#save(this.#root);
      if (this.root !== before) this.#saveRoot();
      this.#bytesPerChange = (nodes.sizeBytes / changes.length) * SPARE;
    }
    this.#committedAt = this.#now;
    this.#writes = new NodeWrites();
    this.#evict();
    return {
      root: this.root,
      nodes,
      get writes() {
        return nodes.writes();
      },
    };
  }

  /** Hash of the value a key holds after the last commit. @throws MERKLE_NODE_CORRUPT */
  get(key: Bytes): Bytes | undefined {
    const { leaf } = this.#descend(key);
    return leaf && leaf.key === bytesToText(key) ? textToBytes(leaf.valueHash) : undefined;
  }

  /** Proof of what the key holds, or that it holds nothing, under `root`. @throws MERKLE_NODE_CORRUPT */
  prove(key: Bytes): StateProof {
    const { leaf, steps } = this.#descend(key);
    if (!leaf || leaf.key === bytesToText(key)) return stateProofOf(steps);
    const other = { key: textToBytes(leaf.key), valueHash: textToBytes(leaf.valueHash) };
    return stateProofOf(steps, other);
  }

  #descend(key: Bytes): { leaf: Leaf | null; steps: { depth: number; sibling: Bytes }[] } {
    const steps: { depth: number; sibling: Bytes }[] = [];
    this.#now++;
    let node: Node | null = this.#root;
    if (node instanceof Unread) node = this.#root = this.#load(node);
    while (node instanceof Branch) {
      node.usedAt = this.#now;
      const right = bitAt(key, node.depth) === 1;
      const sibling = textToBytes(hashOfNode(right ? node.left : node.right));
      steps.push({ depth: node.depth, sibling });
      node = this.#child(node, right);
    }
    this.#evict();
    return { leaf: node, steps };
  }

  /** A child, loaded if need be. */
  #child(parent: Branch, right: boolean): Leaf | Branch {
    const child = right ? parent.right : parent.left;
    if (!(child instanceof Unread)) return child;
    const loaded = this.#load(child);
    if (right) parent.right = loaded;
    else parent.left = loaded;
    return loaded;
  }

  #load(unread: Unread): Branch {
    const bytes = this.#reader.get(nodeAddress(this.#prefix, unread, this.#arena));
    this.#cached++;
    return decodeBranch(unread, bytes, this.#now);
  }

  /** The subtree after changes [from, to), whose first `shared` bits are those of the subtree. */
  #apply(
    node: Node | null,
    changes: Change[],
    from: number,
    to: number,
    shared: number,
  ): Node | null {
    if (from === to) return node;
    if (node === null) return this.#build(null, changes, from, to);
    if (node instanceof Leaf) return this.#build(node, changes, from, to);
    const branch = node instanceof Unread ? this.#load(node) : node;
    branch.usedAt = this.#now;
    return branch.depth === shared
      ? this.#applyBelow(branch, changes, from, to)
      : this.#applyToBranch(branch, changes, from, to);
  }

  #applyToBranch(branch: Branch, changes: Change[], from: number, to: number): Node | null {
    // Sorted keys that share the branch's path are neighbours; the others stand on either side.
    let first = from;
    let last = to;
    let parting = branch.depth;
    const strays = (change: Change) => partingBit(change.key, branch.path, branch.depth);
    for (; first < to; first++) {
      const bit = strays(changes[first] as Change);
      if (bit === branch.depth) break;
      if ((changes[first] as Change).valueHash) parting = Math.min(parting, bit);
    }
    for (; last > first; last--) {
      const bit = strays(changes[last - 1] as Change);
      if (bit === branch.depth) break;
      if ((changes[last - 1] as Change).valueHash) parting = Math.min(parting, bit);
    }
    if (parting === branch.depth) return this.#applyBelow(branch, changes, first, last);
    // A new key leaves the shared path early: a new branch goes in above this one.
    const path = pathOf(branch.path, parting);
    const [start, middle, end] = this.#within(changes, from, to, path, parting);
    const inRight = textBitAt(branch.path, parting) === 1;
    const left = this.#apply(inRight ? null : branch, changes, start, middle, parting + 1);
    const right = this.#apply(inRight ? branch : null, changes, middle, end, parting + 1);
    return this.#join(parting, path, left, right);
  }

  /** Changes all of which share the branch's path. */
  #applyBelow(branch: Branch, changes: Change[], from: number, to: number): Node | null {
    if (from === to) return branch;
    const middle = splitAt(changes, from, to, branch.depth);
    const { left, right } = branch;
    const shared = branch.depth + 1;
    const newLeft = this.#apply(left, changes, from, middle, shared);
    const newRight = this.#apply(right, changes, middle, to, shared);
    if (newLeft && newRight) {
      branch.left = newLeft;
      branch.right = newRight;
      if (!isUnchanged(left, newLeft) || !isUnchanged(right, newRight)) branch.dirty = true;
      return branch;
    }
    this.#cached--;
    removeBranch(this.#writes, this.#prefix, branch);
    return newLeft ?? newRight;
  }

  /** A subtree from at most one old leaf and the changes [from, to). */
  #build(leaf: Leaf | null, changes: Change[], from: number, to: number): Node | null {
    const leaves: Leaf[] = [];
    let rest = leaf;
    for (let i = from; i < to; i++) {
      const { key, valueHash } = changes[i] as Change;
      const order = rest ? compareText(rest.key, key) : 1;
      if (rest && order < 0) {
        leaves.push(rest);
        rest = null;
      }
      if (rest && order === 0) {
        if (valueHash) leaves.push(rewritten(rest, valueHash));
        rest = null;
        continue;
      }
      if (valueHash) leaves.push(new Leaf(key, valueHash));
    }
    if (rest) leaves.push(rest);
    return this.#fromLeaves(leaves, 0, leaves.length);
  }

  #fromLeaves(leaves: Leaf[], from: number, to: number): Node | null {
    if (from === to) return null;
    if (to - from === 1) return leaves[from] as Leaf;
    const first = leaves[from] as Leaf;
    const depth = partingBit(first.key, (leaves[to - 1] as Leaf).key, KEY_BITS);
    let middle = from + 1;
    while (textBitAt((leaves[middle] as Leaf).key, depth) === 0) middle++;
    const left = this.#fromLeaves(leaves, from, middle);
    const right = this.#fromLeaves(leaves, middle, to);
    return this.#join(depth, pathOf(first.key, depth), left, right);
  }

  #join(depth: number, path: ByteText, left: Node | null, right: Node | null): Node | null {
    if (!left || !right) return left ?? right;
    this.#cached++;
    return new Branch(depth, path, left, right, this.#now);
  }

  /** The changes that share `path`, and where they split at its end; the others delete nothing. */
  #within(changes: Change[], from: number, to: number, path: ByteText, depth: number) {
    let first = from;
    let last = to;
    const apart = (i: number) => partingBit((changes[i] as Change).key, path, depth) < depth;
    while (first < last && apart(first)) first++;
    while (last > first && apart(last - 1)) last--;
    return [first, splitAt(changes, first, last, depth), last] as const;
  }

  /** Hashes and writes the changed branches below, deepest first. */
  #save(branch: Branch): void {
    if (!branch.dirty) return;
    if (branch.left instanceof Branch) this.#save(branch.left);
    if (branch.right instanceof Branch) this.#save(branch.right);
    hashOfNode(branch);
    branch.writtenAt = this.#now;
    saveBranch(this.#writes, this.#prefix, branch);
  }

  #saveRoot(): void {
    saveReference(this.#writes, this.#prefix, this.#root);
  }

  /** Puts the least recently used branches out of memory once there are too many. */
  #evict(): void {
    if (this.#cached <= this.#maxCached) return;
    const countByAge = new Map<number, number>();
    const count = (node: Node | null): void => {
      if (!(node instanceof Branch)) return;
      countByAge.set(node.usedAt, (countByAge.get(node.usedAt) ?? 0) + 1);
      count(node.left);
      count(node.right);
    };
    count(this.#root);
    let kept = 0;
    let oldest = Number.POSITIVE_INFINITY;
    for (const [age, branches] of [...countByAge].sort(([a], [b]) => b - a)) {
      kept += branches;
      if (kept > this.#maxCached / 2) break;
      oldest = age;
    }
    this.#cached = 0;
    this.#root = this.#root && this.#prune(this.#root, oldest);
  }

  #prune(node: Node, oldest: number): Node {
    if (!(node instanceof Branch)) return node;
    const mayBeUnstored = node.writtenAt === this.#committedAt;
    if (node.usedAt < oldest && !mayBeUnstored)
      return new Unread(node.depth, node.path, hashOfNode(node));
    this.#cached++;
    node.left = this.#prune(node.left, oldest);
    node.right = this.#prune(node.right, oldest);
    return node;
  }
}

export function createStateTree(options: StateTreeOptions): StateTree {
  return new StateTree(options);
}
