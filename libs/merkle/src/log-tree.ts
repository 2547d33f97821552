/**
 * Append-only log tree (RFC 6962 section 2, RFC 9162 section 2.1). Keeps the hash of every complete
 * subtree, 64 bytes per entry, so that an append costs two hashes on average and a proof only looks
 * hashes up. A frontier (the complete subtrees that make up a size) is all that further appends need.
 */
import {
  type Bytes,
  type CodecValue,
  bytesToHex,
  hash32,
  hexToBytes,
  invariant,
  list,
  record,
  uint,
} from '#libs/kernel';
import { sha256Into } from '#libs/crypto';
import { merkleError } from './errors.ts';
import { EMPTY_LOG_ROOT, LOG_PROOF_MAX, type LogProof, logNodeHash } from './log-proofs.ts';

const HASH_BYTES = 32;

/** Hashes of the complete subtrees of a log of `size` entries, largest first. */
export const logFrontier = record({ size: uint(), hashes: list(hash32, LOG_PROOF_MAX) });
export type LogFrontier = CodecValue<typeof logFrontier>;

/** Hashes of one level in one growing buffer: a JavaScript object per hash would cost three times as much. */
class Level {
  #bytes = new Uint8Array(64 * HASH_BYTES);
  length = 0;

  /** Room for one more hash. */
  #grow(): number {
    const offset = this.length++ * HASH_BYTES;
    if (offset === this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    return offset;
  }

  push(hash: Bytes): void {
    const offset = this.#grow();
    this.#bytes.set(hash, offset);
  }

  pushDigest(input: Bytes): void {
    const offset = this.#grow();
    sha256Into(input, this.#bytes, offset);
  }

  /** Copies the last two hashes into `input`, one after the other. */
  copyLastPair(input: Bytes): void {
    const start = (this.length - 2) * HASH_BYTES;
    for (let i = 0; i < 2 * HASH_BYTES; i++) input[1 + i] = this.#bytes[start + i] as number;
  }

  at(index: number): Bytes {
    return this.#bytes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
  }
}

/** 0x01 ‖ left ‖ right. */
const nodeInput = new Uint8Array(1 + 2 * HASH_BYTES).fill(1, 0, 1);

/** 0x00 ‖ entry, for entries of ordinary size. */
const leafInput = new Uint8Array(1025);

/** Largest power of two below `n` (n > 1). */
function splitOf(n: number): number {
  let split = 1;
  while (split * 2 < n) split *= 2;
  return split;
}

function foldFrontier(hashes: readonly string[]): string {
  if (hashes.length === 0) return EMPTY_LOG_ROOT;
  return hashes.reduceRight((right, left) => logNodeHash(left, right));
}

/** The log tree with all its entries' hashes: appends, roots of any size, proofs. */
export class LogTree {
  readonly #levels: Level[] = [new Level()];

  /** Number of entries. */
  get size(): number {
    return (this.#levels[0] as Level).length;
  }

  /** Appends an entry; returns its index. */
  append(entry: Bytes): number {
    const fits = entry.length < leafInput.length;
    const input = fits ? leafInput.subarray(0, 1 + entry.length) : new Uint8Array(1 + entry.length);
    input.set(entry, 1);
    (this.#levels[0] as Level).pushDigest(input);
    return this.#completeSubtrees();
  }

  /** Appends an entry by its leaf hash (`logLeafHash`), as when a saved log is loaded again. */
  appendLeafHash(leafHash: string): number {
    const hash = hexToBytes(leafHash);
    invariant(hash?.length === HASH_BYTES, 'a leaf hash has 32 bytes');
    (this.#levels[0] as Level).push(hash);
    return this.#completeSubtrees();
  }

  /** Hashes the subtrees that the entry just pushed completes. */
  #completeSubtrees(): number {
    const index = this.size - 1;
    for (let height = 0, at = index; at % 2 === 1; height++, at = Math.floor(at / 2)) {
      (this.#levels[height] as Level).copyLastPair(nodeInput);
      (this.#levels[height + 1] ??= new Level()).pushDigest(nodeInput);
    }
    return index;
  }

  /** Leaf hash of an entry. @throws MERKLE_RANGE */
  leafHash(index: number): string {
    this.#checkRange(index, this.size - 1, 'entry');
    return bytesToHex((this.#levels[0] as Level).at(index));
  }

  /** Root over the first `size` entries. @throws MERKLE_RANGE */
  root(size: number = this.size): string {
    return foldFrontier(this.frontier(size).hashes);
  }

  /** What is needed to go on appending at `size`. @throws MERKLE_RANGE */
  frontier(size: number = this.size): LogFrontier {
    this.#checkRange(size, this.size, 'size');
    const hashes: string[] = [];
    let start = 0;
    for (let height = this.#levels.length - 1; height >= 0; height--) {
      const width = 2 ** height;
      if (start + width > size) continue;
      hashes.push(bytesToHex((this.#levels[height] as Level).at(start / width)));
      start += width;
    }
    return { size, hashes };
  }

  /** RFC 9162 2.1.3.1: that entry `index` is in the first `size` entries. @throws MERKLE_RANGE */
  inclusionProof(index: number, size: number = this.size): LogProof {
    this.#checkRange(size, this.size, 'size');
    this.#checkRange(index, size - 1, 'entry');
    const proof: string[] = [];
    let start = 0;
    let end = size;
    while (end - start > 1) {
      const middle = start + splitOf(end - start);
      const inLeft = index < middle;
      proof.push(this.#subtree(inLeft ? middle : start, inLeft ? end : middle));
      if (inLeft) end = middle;
      else start = middle;
    }
    return proof.reverse();
  }

  /** RFC 9162 2.1.4.1: that the log at `second` begins with the log at `first`. @throws MERKLE_RANGE */
  consistencyProof(first: number, second: number = this.size): LogProof {
    this.#checkRange(second, this.size, 'size');
    this.#checkRange(first, second, 'size');
    if (first === 0 || first === second) return [];
    const proof: string[] = [];
    let start = 0;
    let end = second;
    while (first !== end) {
      const middle = start + splitOf(end - start);
      const inLeft = first <= middle;
      proof.push(this.#subtree(inLeft ? middle : start, inLeft ? end : middle));
      if (inLeft) end = middle;
      else start = middle;
    }
    // A complete first tree is the verifier's own root: RFC 9162 leaves it out.
    if (start !== 0) proof.push(this.#subtree(start, end));
    return proof.reverse();
  }

  /** Hash over the entries [start, end), where start is a multiple of the subtree's width. */
  #subtree(start: number, end: number): string {
    const hashes: string[] = [];
    let at = start;
    for (let width = 2 ** (this.#levels.length - 1); width >= 1; width /= 2) {
      while (at + width <= end) {
        hashes.push(bytesToHex((this.#levels[Math.log2(width)] as Level).at(at / width)));
        at += width;
      }
    }
    return foldFrontier(hashes);
  }

  #checkRange(value: number, max: number, what: string): void {
    if (!Number.isSafeInteger(value) || value < 0 || value > max)
      throw merkleError('MERKLE_RANGE', `${what} ${value} where the log has ${this.size} entries`);
  }
}

export function createLogTree(leafHashes: Iterable<string> = []): LogTree {
  const tree = new LogTree();
  for (const hash of leafHashes) tree.appendLeafHash(hash);
  return tree;
}

/** Continues a log from a frontier, in memory that grows with the logarithm of the size. */
export function appendToFrontier(frontier: LogFrontier, leafHashes: Iterable<string>): LogFrontier {
  checkFrontier(frontier);
  let { size } = frontier;
  const hashes = [...frontier.hashes];
  for (const leafHash of leafHashes) {
    let hash = leafHash;
    for (let rest = size; rest % 2 === 1; rest = Math.floor(rest / 2))
      hash = logNodeHash(hashes.pop() as string, hash);
    hashes.push(hash);
    size++;
  }
  return { size, hashes };
}

/** Root of the log a frontier stands for. @throws MERKLE_FRONTIER_INVALID */
export function frontierRoot(frontier: LogFrontier): string {
  checkFrontier(frontier);
  return foldFrontier(frontier.hashes);
}

export const EMPTY_FRONTIER: LogFrontier = { size: 0, hashes: [] };

function checkFrontier({ size, hashes }: LogFrontier): void {
  let ones = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2;
  if (ones !== hashes.length)
    throw merkleError('MERKLE_FRONTIER_INVALID', `${hashes.length} hashes for size ${size}`);
}
