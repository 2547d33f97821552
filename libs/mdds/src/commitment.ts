/**
 * Commitment to a complete directory, of which its owner can later show any part: a RFC 9162 tree
 * over its canonical lines, each with a salt of its own, so that what stays hidden cannot be guessed
 * from the tree. A disclosure carries lines, their salts and one proof for all of them.
 */
import { sha256 } from '#libs/crypto';
import {
  type Bytes,
  type CodecValue,
  byteString,
  concatBytes,
  decodeWith,
  encodeWith,
  hash32,
  invariant,
  list,
  record,
  text,
  uint,
  utf8,
} from '#libs/kernel';
import { logLeafHash, logRootOfHashes, proveInclusions, verifyInclusions } from '#libs/merkle';
import { mddsError } from './errors.ts';
import { MDDS_LIMITS } from './limits.ts';

const SALT_DOMAIN = utf8('seele/mdds-salt/1\0');
export const SALT_BYTES = 16;
export const SECRET_BYTES = 32;
/** A line holds at most an IRI for each of four terms, or a literal whose characters are all escaped. */
const LINE_BYTES_MAX = 6 * MDDS_LIMITS.literalBytesMax + 8 * MDDS_LIMITS.iriCharsMax;

/** The commitment as the public directory states it (`mdds:quadMerkleRoot`). */
export interface DirectoryCommitment {
  /** Root of the tree, hex. */
  readonly root: string;
  /** How many statements the complete directory has. */
  readonly size: number;
}

export interface Disclosure extends DirectoryCommitment {
  readonly entries: readonly {
    /** Place of the line in the sorted text. */
    readonly index: number;
    readonly salt: Bytes;
    readonly line: string;
  }[];
  /** Roots of the subtrees of which nothing is shown, hex. */
  readonly proof: readonly string[];
}

/**
 * A disclosure as canonical CBOR; what a `seele data prove` file holds. `shown` has one bit for each
 * statement of the directory, the first in the lowest bit; salts stand end to end.
 */
const wireDisclosure = record({
  root: hash32,
  size: uint(MDDS_LIMITS.quadsMax),
  shown: byteString(MDDS_LIMITS.quadsMax / 8),
  salts: byteString(MDDS_LIMITS.quadsMax * SALT_BYTES),
  lines: list(text(LINE_BYTES_MAX), MDDS_LIMITS.quadsMax),
  proof: list(hash32, MDDS_LIMITS.quadsMax),
});
type WireDisclosure = CodecValue<typeof wireDisclosure>;

const saltOf = (secret: Bytes, line: string): Bytes =>
  sha256(concatBytes(SALT_DOMAIN, secret, utf8(line))).slice(0, SALT_BYTES);

const leafOf = (salt: Bytes, line: string): string => logLeafHash(concatBytes(salt, utf8(line)));

/** The owner's side: what is needed to commit to a directory and to disclose parts of it. */
export class CommittedDirectory {
  readonly #lines: readonly string[];
  readonly #secret: Bytes;
  readonly #leaves: readonly string[];
  readonly root: string;

  /**
   * @param lines canonical lines of the complete directory (`canonicalLines`)
   * @param secret 32 random bytes of this version, kept by the owner
   */
  constructor(lines: readonly string[], secret: Bytes) {
    invariant(secret.length === SECRET_BYTES, `the secret has ${SECRET_BYTES} bytes`);
    if (lines.length > MDDS_LIMITS.quadsMax)
      throw mddsError('MDDS_LIMIT', `over ${MDDS_LIMITS.quadsMax} statements`);
    this.#lines = lines;
    this.#secret = secret;
    this.#leaves = lines.map((line) => leafOf(saltOf(secret, line), line));
    this.root = logRootOfHashes(this.#leaves);
  }

  get commitment(): DirectoryCommitment {
    return { root: this.root, size: this.#lines.length };
  }

  /** Shows the lines that `isShown` picks, and nothing of the others. */
  disclose(isShown: (line: string) => boolean): Disclosure {
    const entries = this.#lines.flatMap((line, index) =>
      isShown(line) ? [{ index, salt: saltOf(this.#secret, line), line }] : [],
    );
    const proof = [
      ...proveInclusions(
        this.#leaves,
        entries.map(({ index }) => index),
      ),
    ];
    return { root: this.root, size: this.#lines.length, entries, proof };
  }
}

export function encodeDisclosure({ root, size, entries, proof }: Disclosure): Bytes {
  const shown = new Uint8Array(Math.ceil(size / 8));
  for (const { index } of entries) shown[index >> 3] = (shown[index >> 3] as number) | bitOf(index);
  const salts = concatBytes(...entries.map(({ salt }) => salt));
  const lines = entries.map(({ line }) => line);
  return encodeWith(wireDisclosure, { root, size, shown, salts, lines, proof: [...proof] });
}

const bitOf = (index: number): number => 1 << (index & 7);

/** Most bytes of a disclosure file. */
export const DISCLOSURE_BYTES_MAX = 2 * MDDS_LIMITS.documentBytesMax;

/** @throws KERNEL_* for bytes that are no disclosure, MDDS_PROOF_INVALID when its parts do not fit */
export function decodeDisclosure(bytes: Bytes): Disclosure {
  const wire: WireDisclosure = decodeWith(wireDisclosure, bytes, {
    maxBytes: DISCLOSURE_BYTES_MAX,
  });
  const { root, size, shown, salts, lines, proof } = wire;
  const indices: number[] = [];
  for (let index = 0; index < shown.length * 8; index++)
    if (((shown[index >> 3] as number) & bitOf(index)) !== 0) indices.push(index);
  if (
    shown.length !== Math.ceil(size / 8) ||
    indices.length !== lines.length ||
    salts.length !== lines.length * SALT_BYTES
  )
    throw mddsError('MDDS_PROOF_INVALID', 'marks, salts and lines of the disclosure do not fit');
  const entries = lines.map((line, i) => ({
    index: indices[i] as number,
    salt: salts.slice(i * SALT_BYTES, (i + 1) * SALT_BYTES),
    line,
  }));
  return { root, size, entries, proof };
}

/**
 * The disclosed lines, once they are proved to belong to the directory committed to.
 *
 * @throws MDDS_PROOF_INVALID
 */
export function verifyDisclosure(
  { root, size, entries, proof }: Disclosure,
  commitment: DirectoryCommitment,
): readonly string[] {
  if (root !== commitment.root || size !== commitment.size)
    throw mddsError('MDDS_PROOF_INVALID', 'the disclosure is about another directory');
  const indices = entries.map(({ index }) => index);
  const leafHashes = entries.map(({ salt, line }) => leafOf(salt, line));
  if (entries.some(({ salt }) => salt.length !== SALT_BYTES))
    throw mddsError('MDDS_PROOF_INVALID', `a salt has not ${SALT_BYTES} bytes`);
  if (!verifyInclusions({ indices, leafHashes }, size, proof, root))
    throw mddsError('MDDS_PROOF_INVALID', 'the proof does not lead to the root');
  return entries.map(({ line }) => line);
}

/**
 * True when the disclosure shows exactly the public directory: every line of it, and no other.
 *
 * @param publicLines canonical lines of the public directory
 */
export function isPublicPart(
  disclosed: readonly string[],
  publicLines: readonly string[],
): boolean {
  const wanted = new Set(publicLines);
  return disclosed.length === wanted.size && disclosed.every((line) => wanted.has(line));
}
