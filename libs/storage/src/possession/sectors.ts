/**
 * Proof that somebody holds content, without sending it: a Merkle tree (RFC 9162) over its sectors of
 * 1 KiB. Who keeps the content remembers a root for every leaf block (32 bytes for each MiB); a proof
 * of any sector then costs reading that one block. Who checks needs root and length alone.
 *
 * A proof is good for one challenge: the seed must be something nobody knew before (a later block's
 * hash), or the sectors alone could be kept.
 */
import { sha256Into } from '#libs/crypto';
import { bytesToHex, hash32, list, record, uint, type Bytes, type CodecValue } from '#libs/kernel';
import { SECTOR_BYTES, type SectorProof, logNodeHash, sectorCount } from '#libs/merkle';

import type { BlobSource } from '../blob-store.ts';
import { storageError } from '../errors.ts';
import { LEAF_BYTES } from '../file-writer.ts';

export {
  SECTOR_BYTES,
  type SectorProof,
  type SectorRoot,
  challengeSeed,
  challengedSectors,
  sectorCount,
  sectorProof,
  sectorRoot,
  verifySector,
} from '#libs/merkle';

const SECTORS_PER_BLOCK = LEAF_BYTES / SECTOR_BYTES;
const HASH_BYTES = 32;
/** A TiB. */
const MAX_BLOCKS = 1024 * 1024;

/** What whoever keeps the content remembers. */
export const sectorTree = record({
  root: hash32,
  sizeBytes: uint(),
  /** Root of the sectors of each MiB. */
  blockRoots: list(hash32, MAX_BLOCKS),
});
export type SectorTree = CodecValue<typeof sectorTree>;

/** Largest power of two below `n` (n > 1): where RFC 9162 2.1.1 splits. */
const splitOf = (n: number): number => 2 ** (31 - Math.clz32(n - 1));

/** Hashes of the sectors of one block, one after another. */
function sectorHashes(block: Bytes): Bytes {
  const hashes = new Uint8Array(sectorCount(block.length) * HASH_BYTES);
  const leaf = new Uint8Array(1 + SECTOR_BYTES);
  for (let at = 0, i = 0; at < block.length; at += SECTOR_BYTES, i++) {
    const sector = block.subarray(at, at + SECTOR_BYTES);
    leaf.set(sector, 1);
    sha256Into(leaf.subarray(0, 1 + sector.length), hashes, i * HASH_BYTES);
  }
  return hashes;
}

const pair = new Uint8Array(1 + 2 * HASH_BYTES).fill(1, 0, 1);

/** Root of the hashes `from` to `to`, written over the first of them. */
function foldInto(hashes: Bytes, from: number, to: number): Bytes {
  const first = hashes.subarray(from * HASH_BYTES, (from + 1) * HASH_BYTES);
  if (to - from === 1) return first;
  const middle = from + splitOf(to - from);
  const left = foldInto(hashes, from, middle);
  const right = foldInto(hashes, middle, to);
  pair.set(left, 1);
  pair.set(right, 1 + HASH_BYTES);
  sha256Into(pair, hashes, from * HASH_BYTES);
  return first;
}

function rootOf(hashes: readonly string[], from = 0, to = hashes.length): string {
  if (to - from === 1) return hashes[from] as string;
  const middle = from + splitOf(to - from);
  return logNodeHash(rootOf(hashes, from, middle), rootOf(hashes, middle, to));
}

/** Siblings of entry `index` of the hashes `from` to `to`, from the bottom up. */
function pathOf(hashes: readonly string[], index: number, from = 0, to = hashes.length): string[] {
  if (to - from === 1) return [];
  const middle = from + splitOf(to - from);
  return index < middle
    ? [...pathOf(hashes, index, from, middle), rootOf(hashes, middle, to)]
    : [...pathOf(hashes, index, middle, to), rootOf(hashes, from, middle)];
}

/** Commits to sectors of content that comes in parts. */
export interface SectorCommitter {
  add(chunk: Bytes): void;
  /** @throws STORAGE_MALFORMED for empty content, of which there is nothing to prove */
  finish(): SectorTree;
}

export function createSectorCommitter(): SectorCommitter {
  const blockRoots: string[] = [];
  const block = new Uint8Array(LEAF_BYTES);
  let filled = 0;
  let sizeBytes = 0;
  const close = () => {
    const hashes = sectorHashes(block.subarray(0, filled));
    blockRoots.push(bytesToHex(foldInto(hashes, 0, hashes.length / HASH_BYTES)));
    filled = 0;
  };
  return {
    add(chunk) {
      sizeBytes += chunk.length;
      for (let at = 0; at < chunk.length;) {
        const part = chunk.subarray(at, at + LEAF_BYTES - filled);
        block.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled === LEAF_BYTES) close();
      }
    },
    finish() {
      if (filled > 0) close();
      if (blockRoots.length === 0 || blockRoots.length > MAX_BLOCKS)
        throw storageError('STORAGE_MALFORMED', `no sectors are kept of ${sizeBytes} bytes`);
      return { root: rootOf(blockRoots), sizeBytes, blockRoots };
    },
  };
}

/** Reads content once and commits to its sectors. @throws STORAGE_MALFORMED for empty content */
export async function commitSectors(source: BlobSource): Promise<SectorTree> {
  const committer = createSectorCommitter();
  for await (const chunk of source instanceof Uint8Array ? [source] : source) committer.add(chunk);
  return committer.finish();
}

/** Number of the leaf block that holds a sector: it begins at that many MiB. */
export const blockOfSector = (index: number): number => Math.floor(index / SECTORS_PER_BLOCK);

/**
 * Proof of one sector from the leaf block that holds it.
 * @throws STORAGE_NOT_FOUND for a sector beyond the end; STORAGE_CORRUPT when the block is another one
 */
export function proveSector(tree: SectorTree, index: number, block: Bytes): SectorProof {
  const number = blockOfSector(index);
  if (index < 0 || index >= sectorCount(tree.sizeBytes))
    throw storageError('STORAGE_NOT_FOUND', `the content has no sector ${index}`);
  const hashes = sectorHashes(block);
  const inside = Array.from({ length: hashes.length / HASH_BYTES }, (_, i) =>
    bytesToHex(hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
  );
  if (inside.length === 0 || rootOf(inside) !== tree.blockRoots[number])
    throw storageError('STORAGE_CORRUPT', `these are not the bytes of block ${number}`);
  const at = index - number * SECTORS_PER_BLOCK;
  return {
    index,
    sector: block.slice(at * SECTOR_BYTES, (at + 1) * SECTOR_BYTES),
    path: [...pathOf(inside, at), ...pathOf(tree.blockRoots, number)],
  };
}
