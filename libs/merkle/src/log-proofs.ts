/** Verifying half of the log tree: RFC 9162 section 2.1.3.2 (inclusion) and 2.1.4.2 (consistency). */
import { type Bytes, type CodecValue, concatBytes, hash32, hexToBytes, list } from '#libs/kernel';
import { sha256Hex } from '#libs/crypto';

/** Most hashes a proof of a tree of up to 2^53 entries can have. */
export const LOG_PROOF_MAX = 64;

/** Sibling hashes from the leaf upwards. */
export const logProof = list(hash32, LOG_PROOF_MAX);
export type LogProof = CodecValue<typeof logProof>;

/** Root of the tree without entries: SHA-256 of nothing. */
export const EMPTY_LOG_ROOT = sha256Hex();

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** Hash of an entry: SHA-256(0x00 ‖ entry). */
export function logLeafHash(entry: Bytes): string {
  return sha256Hex(LEAF, entry);
}

/** Hash of an inner node: SHA-256(0x01 ‖ left ‖ right). */
export function logNodeHash(left: string, right: string): string {
  return sha256Hex(concatBytes(NODE, hexToBytes(left) as Bytes, hexToBytes(right) as Bytes));
}

const HASH = /^[0-9a-f]{64}$/;
const areHashes = (...values: readonly string[]): boolean => values.every((v) => HASH.test(v));
const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
const half = (value: number): number => Math.floor(value / 2);

/** True when the entry with `leafHash` is number `index` of the log whose first `size` entries have `root`. */
export function verifyInclusion(
  leafHash: string,
  index: number,
  size: number,
  proof: LogProof,
  root: string,
): boolean {
  if (!isSize(index) || !isSize(size) || index >= size) return false;
  if (!areHashes(leafHash, root, ...proof)) return false;
  let node = index;
  let last = size - 1;
  let hash = leafHash;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = logNodeHash(sibling, hash);
      while (node % 2 === 0 && node !== 0) {
        node = half(node);
        last = half(last);
      }
    } else {
      hash = logNodeHash(hash, sibling);
    }
    node = half(node);
    last = half(last);
  }
  return last === 0 && hash === root;
}

/** Folds a consistency proof into the two roots it claims; undefined when its length is wrong. */
function foldConsistency(
  first: number,
  second: number,
  path: readonly string[],
): readonly [string, string] | undefined {
  let node = first - 1;
  let last = second - 1;
  while (node % 2 === 1) {
    node = half(node);
    last = half(last);
  }
  let firstHash = path[0] as string;
  let secondHash = firstHash;
  for (const sibling of path.slice(1)) {
    if (last === 0) return undefined;
    if (node % 2 === 1 || node === last) {
      firstHash = logNodeHash(sibling, firstHash);
      secondHash = logNodeHash(sibling, secondHash);
      while (node % 2 === 0 && node !== 0) {
        node = half(node);
        last = half(last);
      }
    } else {
      secondHash = logNodeHash(secondHash, sibling);
    }
    node = half(node);
    last = half(last);
  }
  return last === 0 ? [firstHash, secondHash] : undefined;
}

const isPowerOfTwo = (value: number): boolean => Number.isInteger(Math.log2(value));

/** True when the log with `secondRoot` at size `second` begins with the one of `firstRoot` at `first`. */
export function verifyConsistency(
  first: number,
  second: number,
  firstRoot: string,
  secondRoot: string,
  proof: LogProof,
): boolean {
  if (!isSize(first) || !isSize(second) || first > second) return false;
  if (!areHashes(firstRoot, secondRoot, ...proof)) return false;
  if (first === second) return proof.length === 0 && firstRoot === secondRoot;
  if (first === 0) return proof.length === 0 && firstRoot === EMPTY_LOG_ROOT;
  const path = isPowerOfTwo(first) ? [firstRoot, ...proof] : proof;
  if (path.length === 0) return false;
  const roots = foldConsistency(first, second, path);
  return roots !== undefined && roots[0] === firstRoot && roots[1] === secondRoot;
}
