/**
 * Cuts content into blocks under the profile `unixfs-v1-2025` (IPIP-499): 1 MiB raw leaves, 1024
 * links a node, CIDv1, SHA-256. Content that fits one leaf is that raw block itself.
 */
import type { Bytes } from '#libs/kernel';
import { importer } from 'ipfs-unixfs-importer';
import type { CID } from 'multiformats/cid';

import type { BlobRef, BlobSource } from './blob-store.ts';
import { blockCid } from './cids.ts';
import { storageError } from './errors.ts';

/** Content up to this length is one raw block: the fast path of every adapter. */
export const LEAF_BYTES = 1024 * 1024;

/** The Kubo RPC parameters under which `add` gives the CIDs of this profile. */
export const kuboAddProfile = {
  cidVersion: 1,
  rawLeaves: true,
  chunker: `size-${LEAF_BYTES}`,
  maxFileLinks: 1024,
} as const;

export type BlockWriter = (cid: CID, bytes: Bytes) => Promise<void>;

/** Passes a stream through, counting; stops it at `maxBytes`. */
export async function* limited(
  source: BlobSource,
  maxBytes: number,
  count: (sizeBytes: number) => void,
): AsyncGenerator<Bytes> {
  let sizeBytes = 0;
  for await (const chunk of source instanceof Uint8Array ? [source] : source) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes)
      throw storageError('STORAGE_TOO_LARGE', `the content is longer than ${maxBytes} bytes`);
    count(sizeBytes);
    yield chunk;
  }
}

/** Writes content as blocks; resolves when the writer has taken the last of them. */
export async function writeFile(
  source: BlobSource,
  write: BlockWriter,
  maxBytes = Infinity,
): Promise<BlobRef> {
  if (source instanceof Uint8Array && source.length <= Math.min(LEAF_BYTES, maxBytes)) {
    const cid = await blockCid(source);
    await write(cid, source);
    return { cid: cid.toString(), sizeBytes: source.length };
  }
  let sizeBytes = 0;
  const content = limited(source, maxBytes, (size) => (sizeBytes = size));
  const blocks = {
    put: async (cid: CID, bytes: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>) => {
      await write(cid, bytes as Bytes); // the importer gives whole blocks
      return cid;
    },
    has: async () => false,
  };
  for await (const entry of importer([{ content }], blocks, { profile: 'unixfs-v1-2025' }))
    return { cid: entry.cid.toString(), sizeBytes };
  throw storageError('STORAGE_FAILED', 'the importer gave no root');
}

/** The CID that `put` would give, without storing anything. */
export function blobRef(source: BlobSource): Promise<BlobRef> {
  return writeFile(source, async () => {});
}
