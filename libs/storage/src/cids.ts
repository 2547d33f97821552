/** Content identifiers and the check of bytes against them. */
import { compareBytes, type Bytes } from '#libs/kernel';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import { identity } from 'multiformats/hashes/identity';
import { sha256, sha512 } from 'multiformats/hashes/sha2';

import type { BlockCodec } from './blob-store.ts';
import { storageError } from './errors.ts';

export const RAW_CODE = raw.code;
export const DAG_PB_CODE = 0x70;
export const DAG_CBOR_CODE = 0x71;

/** No block may be larger (the limit that bitswap and Kubo share). */
export const MAX_BLOCK_BYTES = 2 * 1024 * 1024;

const MAX_CID_TEXT = 256;
const codecCodes: Readonly<Record<BlockCodec, number>> = {
  raw: RAW_CODE,
  'dag-pb': DAG_PB_CODE,
  'dag-cbor': DAG_CBOR_CODE,
};

/** Reads a CID of version 0 or 1. @throws STORAGE_CID_INVALID */
export function parseCid(text: string): CID {
  if (text.length <= MAX_CID_TEXT)
    try {
      return CID.parse(text);
    } catch {
      // Reported below, in our words.
    }
  throw storageError('STORAGE_CID_INVALID', `${JSON.stringify(text.slice(0, 80))} is not a CID`);
}

/** The CID of one block, without storing it. */
export async function blockCid(bytes: Bytes, codec: BlockCodec = 'raw'): Promise<CID> {
  return CID.createV1(codecCodes[codec], await sha256.digest(bytes));
}

/**
 * Whether the bytes are the block that the CID names.
 * @throws STORAGE_UNSUPPORTED for a hash other than sha2-256, sha2-512 and identity
 */
export async function isBlockOf(cid: CID, bytes: Bytes): Promise<boolean> {
  const { code, digest } = cid.multihash;
  if (code === sha256.code) return compareBytes((await sha256.digest(bytes)).digest, digest) === 0;
  if (code === sha512.code) return compareBytes((await sha512.digest(bytes)).digest, digest) === 0;
  if (code === identity.code) return compareBytes(bytes, digest) === 0;
  throw storageError(
    'STORAGE_UNSUPPORTED',
    `${cid.toString()} uses hash function 0x${code.toString(16)}`,
  );
}

/** Gives the bytes back when they are the block that the CID names. @throws STORAGE_CORRUPT */
export async function verifyBlock(cid: CID, bytes: Bytes): Promise<Bytes> {
  if (bytes.length <= MAX_BLOCK_BYTES && (await isBlockOf(cid, bytes))) return bytes;
  throw storageError(
    'STORAGE_CORRUPT',
    `the ${bytes.length} bytes answered for ${cid.toString()} have another hash`,
  );
}
