/**
 * Proofs of the state tree, and their verification.
 *
 * The tree is a binary radix tree over 256-bit keys in which every inner node has two children:
 *
 *   leaf   = SHA-256(0x00 ‖ key ‖ value hash)
 *   branch = SHA-256(0x01 ‖ depth ‖ left ‖ right)    depth: the bit (0…255) at which the keys part
 *   empty  = 32 zero bytes
 *
 * A leaf binds its full key and a branch the bit it looks at, so following the bits of a key from a
 * root ends at exactly one leaf: the key's own, or one that proves that the key is absent.
 */
import {
  type Bytes,
  type CodecValue,
  byteString,
  bytesToHex,
  concatBytes,
  decodeWith,
  encodeWith,
  equalBytes,
  hash32,
  hexToBytes,
  optional,
  record,
} from '#libs/kernel';
import { sha256Into } from '#libs/crypto';

export const HASH_BYTES = 32;
export const KEY_BITS = 256;
/** Root of the state tree without keys. */
export const EMPTY_STATE_ROOT = '00'.repeat(HASH_BYTES);
/** The most a proof can take: a branch at every bit, and another leaf. */
export const STATE_PROOF_MAX_BYTES = KEY_BITS * (HASH_BYTES + 1) + 256;

export const stateProof = record({
  /** In proofs of absence: the leaf at which the path of the key ends. None in an empty tree. */
  other: optional(record({ key: hash32, valueHash: hash32 })),
  /** Bits at which the path branches, from the root down: strictly increasing. */
  depths: byteString(KEY_BITS),
  /** The hash beside the path at each of them, concatenated. */
  siblings: byteString(KEY_BITS * HASH_BYTES),
});
export type StateProof = CodecValue<typeof stateProof>;

export const encodeStateProof = (proof: StateProof): Bytes => encodeWith(stateProof, proof);

/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export const decodeStateProof = (bytes: Bytes): StateProof =>
  decodeWith(stateProof, bytes, { maxBytes: STATE_PROOF_MAX_BYTES, maxDepth: 3 });

const leafInput = new Uint8Array(1 + 2 * HASH_BYTES);
const branchInput = new Uint8Array(2 + 2 * HASH_BYTES).fill(1, 0, 1);

export function writeLeafHash(key: Bytes, valueHash: Bytes, out: Bytes): void {
  for (let i = 0; i < HASH_BYTES; i++) {
    leafInput[1 + i] = key[i] as number;
    leafInput[1 + HASH_BYTES + i] = valueHash[i] as number;
  }
  sha256Into(leafInput, out, 0);
}

export function writeBranchHash(depth: number, left: Bytes, right: Bytes, out: Bytes): void {
  branchInput[1] = depth;
  for (let i = 0; i < HASH_BYTES; i++) {
    branchInput[2 + i] = left[i] as number;
    branchInput[2 + HASH_BYTES + i] = right[i] as number;
  }
  sha256Into(branchInput, out, 0);
}

function leafHashOf(key: Bytes, valueHash: Bytes): Bytes {
  const hash = new Uint8Array(HASH_BYTES);
  writeLeafHash(key, valueHash, hash);
  return hash;
}

/** Bit `index` of a key, most significant first. */
export function bitAt(key: Bytes, index: number): number {
  return ((key[index >> 3] as number) >> (7 - (index & 7))) & 1;
}

function asHash(hex: string): Bytes | undefined {
  const bytes = hexToBytes(hex);
  return bytes?.length === HASH_BYTES ? bytes : undefined;
}

/** The leaf hash at the end of the key's path; undefined when the proof cannot be about this claim. */
function provenLeaf(
  key: Bytes,
  valueHash: string | undefined,
  proof: StateProof,
): Bytes | undefined {
  if (valueHash !== undefined) {
    const value = asHash(valueHash);
    return value && !proof.other ? leafHashOf(key, value) : undefined;
  }
  if (!proof.other) return proof.depths.length === 0 ? new Uint8Array(HASH_BYTES) : undefined;
  const other = asHash(proof.other.key);
  const otherValue = asHash(proof.other.valueHash);
  if (!other || !otherValue || equalBytes(other, key)) return undefined;
  for (const depth of proof.depths) if (bitAt(other, depth) !== bitAt(key, depth)) return undefined;
  return leafHashOf(other, otherValue);
}

/**
 * True when under `root` the key holds the value with this hash, or, with `valueHash` undefined, when
 * it holds nothing. Never throws.
 */
export function verifyStateProof(
  root: string,
  keyHex: string,
  valueHash: string | undefined,
  proof: StateProof,
): boolean {
  const key = asHash(keyHex);
  const expected = asHash(root);
  const { depths, siblings } = proof;
  if (!key || !expected || siblings.length !== depths.length * HASH_BYTES) return false;
  for (let i = 1; i < depths.length; i++)
    if ((depths[i] as number) <= (depths[i - 1] as number)) return false;
  const hash = provenLeaf(key, valueHash, proof);
  if (hash === undefined) return false;
  for (let i = depths.length - 1; i >= 0; i--) {
    const depth = depths[i] as number;
    const sibling = siblings.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES);
    const right = bitAt(key, depth) === 1;
    writeBranchHash(depth, right ? sibling : hash, right ? hash : sibling, hash);
  }
  return equalBytes(hash, expected);
}

/** Puts together a proof from the steps of a path, root first. */
export function stateProofOf(
  steps: readonly { readonly depth: number; readonly sibling: Bytes }[],
  other?: { readonly key: Bytes; readonly valueHash: Bytes },
): StateProof {
  return {
    ...(other && {
      other: { key: bytesToHex(other.key), valueHash: bytesToHex(other.valueHash) },
    }),
    depths: Uint8Array.from(steps, (step) => step.depth),
    siblings: concatBytes(...steps.map((step) => step.sibling)),
  };
}
