/**
 * One proof for many entries of an RFC 9162 log: the roots of the largest subtrees that hold none of
 * them, left to right. Shared siblings are written once, so disclosing half of a log costs a few
 * hashes instead of a path for each entry.
 */
import { invariant } from '#libs/kernel';
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
