/**
 * One proof for many entries of an RFC 9162 log: the roots of the largest subtrees that hold none of
 * them, left to right. Shared siblings are written once, so disclosing half of a log costs a few
 * hashes instead of a path for each entry.
 */
import { sha256Into } from '#libs/crypto';
import { type Bytes, bytesToHex, invariant } from '#libs/kernel';
import { merkleError } from './errors.ts';
import { EMPTY_LOG_ROOT, logNodeHash } from './log-proofs.ts';

/** Subtree roots without a disclosed entry, left to right, lower-case hex. */
export type LogMultiProof = readonly string[];

/** Largest power of two below `n` (n > 1). */
const splitOf = (n: number): number => 2 ** (31 - Math.clz32(n - 1));

/** Root of the entries `from` to `to` (RFC 9162 section 2.1.1). */
function rootOf(leafHashes: readonly string[], from: number, to: number): string {
  if (to - from === 1) return leafHashes[from] as string;
  const middle = from + splitOf(to - from);
  return logNodeHash(rootOf(leafHashes, from, middle), rootOf(leafHashes, middle, to));
}

/** Strictly rising and inside the log. */
const areIndices = (indices: readonly number[], size: number): boolean =>
  indices.every(
    (index, i) =>
      Number.isSafeInteger(index) &&
      index > (i === 0 ? -1 : (indices[i - 1] as number)) &&
      index < size,
  );

/** Root of the log with these leaf hashes. */
export function logRootOfHashes(leafHashes: readonly string[]): string {
  return leafHashes.length === 0 ? EMPTY_LOG_ROOT : rootOf(leafHashes, 0, leafHashes.length);
}

const HASH_BYTES = 32;
const NODE_BYTES = 1 + 2 * HASH_BYTES;

/**
 * Root of the log with these entries: what `logRootOfHashes` says of their leaf hashes, in a third of the
 * time, because no hash is made into text on the way.
 */
export function logRootOf(entries: readonly Bytes[]): string {
  if (entries.length === 0) return EMPTY_LOG_ROOT;
  let longest = NODE_BYTES - 1;
  for (const { length } of entries) longest = Math.max(longest, length);
  const hashes = new Uint8Array(HASH_BYTES * entries.length);
  const hashed = new Uint8Array(1 + longest);
  for (const [i, entry] of entries.entries()) {
    hashed.set(entry, 1);
    sha256Into(hashed.subarray(0, 1 + entry.length), hashes, HASH_BYTES * i);
  }
  const node = hashed.subarray(0, NODE_BYTES);
  node[0] = 1;
  // Neighbours in pairs, level by level; one that is left over goes up as it is. That is the tree of the RFC.
  for (let count = entries.length; count > 1; count = Math.ceil(count / 2)) {
    for (let i = 0; 2 * i < count; i++) {
      const from = 2 * HASH_BYTES * i;
      const isPair = 2 * i + 1 < count;
      const both = hashes.subarray(from, from + (isPair ? 2 : 1) * HASH_BYTES);
      if (!isPair) {
        hashes.set(both, HASH_BYTES * i);
        continue;
      }
      node.set(both, 1);
      sha256Into(node, hashes, HASH_BYTES * i);
    }
  }
  return bytesToHex(hashes.subarray(0, HASH_BYTES));
}

/**
 * Proof that the entries at `indices` (rising) are in the log with these leaf hashes.
 *
 * @throws MERKLE_RANGE
 */
export function proveInclusions(
  leafHashes: readonly string[],
  indices: readonly number[],
): LogMultiProof {
  const size = leafHashes.length;
  if (!areIndices(indices, size))
    throw merkleError('MERKLE_RANGE', `indices must rise and stay below ${size}`);
  const proof: string[] = [];
  let next = 0;
  const walk = (from: number, to: number): void => {
    const index = indices[next];
    if (index === undefined || index >= to) {
      proof.push(rootOf(leafHashes, from, to));
    } else if (to - from === 1) {
      next++;
    } else {
      const middle = from + splitOf(to - from);
      walk(from, middle);
      walk(middle, to);
    }
  };
  if (size > 0) walk(0, size);
  invariant(next === indices.length, 'every index was met');
  return proof;
}

/** Most entries of a log that multi-proofs are made for. */
export const MULTI_PROOF_LOG_MAX = 2 ** 24;

const HASH = /^[0-9a-f]{64}$/;

/**
 * True when the log of `size` entries with `root` holds the given leaf hashes at `indices` (rising).
 * Never throws; its work is bounded by the proof it is given.
 */
export function verifyInclusions(
  disclosed: { readonly indices: readonly number[]; readonly leafHashes: readonly string[] },
  size: number,
  proof: LogMultiProof,
  root: string,
): boolean {
  const { indices, leafHashes } = disclosed;
  if (!Number.isSafeInteger(size) || size < 0 || size > MULTI_PROOF_LOG_MAX) return false;
  if (indices.length !== leafHashes.length || !areIndices(indices, size)) return false;
  if (![...leafHashes, ...proof].every((hash) => HASH.test(hash))) return false;
  let [next, used] = [0, 0];
  const fold = (from: number, to: number): string | undefined => {
    const index = indices[next];
    if (index === undefined || index >= to) return proof[used++];
    if (to - from === 1) return leafHashes[next++];
    const middle = from + splitOf(to - from);
    const left = fold(from, middle);
    const right = left === undefined ? undefined : fold(middle, to);
    return left === undefined || right === undefined ? undefined : logNodeHash(left, right);
  };
  const folded = size === 0 ? EMPTY_LOG_ROOT : fold(0, size);
  return folded === root && used === proof.length && next === indices.length;
}
