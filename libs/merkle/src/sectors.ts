/**
 * Sectors of content under a Merkle root (RFC 9162): what a challenge asks for, and whether a proof
 * answers it. Who checks needs root and length alone; keeping trees and making proofs is `storage`.
 *
 * A proof is good for one challenge: the seed must be something nobody knew before (a later block's
 * hash), or the sectors alone could be kept.
 */
import { sha256Into } from '#libs/crypto';
import {
  byteString,
  hash32,
  hexToBytes,
  record,
  uint,
  utf8,
  type Bytes,
  type CodecValue,
} from '#libs/kernel';

import { logLeafHash, logProof, verifyInclusion } from './log-proofs.ts';

export const SECTOR_BYTES = 1024;
const HASH_BYTES = 32;
const CHALLENGE_DOMAIN = utf8('seele/sector-challenge/1\0');

/** What is agreed on: enough to check proofs. */
export const sectorRoot = record({ root: hash32, sizeBytes: uint() });
export type SectorRoot = CodecValue<typeof sectorRoot>;

export const sectorProof = record({
  index: uint(),
  sector: byteString(SECTOR_BYTES),
  path: logProof,
});
export type SectorProof = CodecValue<typeof sectorProof>;

export const sectorCount = (sizeBytes: number): number => Math.ceil(sizeBytes / SECTOR_BYTES);

/**
 * The sectors that a seed asks for: `count` of them, with repetition, every one as likely as any
 * other (up to 2^-21 for a TiB). Who lost a share s passes with probability (1 − s)^count.
 */
export function challengedSectors(seed: Bytes, sizeBytes: number, count: number): number[] {
  const sectors = sectorCount(sizeBytes);
  const input = new Uint8Array(CHALLENGE_DOMAIN.length + seed.length + 4);
  input.set(CHALLENGE_DOMAIN);
  input.set(seed, CHALLENGE_DOMAIN.length);
  const view = new DataView(input.buffer);
  const digest = new Uint8Array(HASH_BYTES);
  const draw = new DataView(digest.buffer);
  return Array.from({ length: count }, (_, i) => {
    view.setUint32(input.length - 4, i);
    sha256Into(input, digest, 0);
    return Number(draw.getBigUint64(0) % BigInt(sectors));
  });
}

/** Whether a proof shows the asked sector of the content with this root and length. */
export function verifySector(
  { root, sizeBytes }: SectorRoot,
  index: number,
  proof: SectorProof,
): boolean {
  const expected = Math.min(SECTOR_BYTES, sizeBytes - index * SECTOR_BYTES);
  if (proof.index !== index || proof.sector.length !== expected) return false;
  const size = sectorCount(sizeBytes);
  return verifyInclusion(logLeafHash(proof.sector), index, size, proof.path, root);
}

/** A seed from what stands on a chain: a block's hash, the deal, the epoch. */
export function challengeSeed(blockHash: string, deal: string, epoch: number): Bytes {
  const seed = new Uint8Array(2 * HASH_BYTES + 8);
  seed.set(hexToBytes(blockHash) as Bytes);
  seed.set(hexToBytes(deal) as Bytes, HASH_BYTES);
  new DataView(seed.buffer).setBigUint64(2 * HASH_BYTES, BigInt(epoch));
  return seed;
}
