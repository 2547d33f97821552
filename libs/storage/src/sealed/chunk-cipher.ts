/**
 * A stream as a sequence of sealed chunks (AES-256-GCM, the STREAM construction of Hoang,
 * Reyhanitabar, Rogaway and Vizár, CRYPTO 2015): the nonce is the place of the chunk and whether it is
 * the last, so a chunk that is moved, left out, repeated or put after the end does not open.
 *
 * A full chunk is 1 048 560 bytes and a tag of 16: exactly one leaf of the storage profile, so any
 * range is read by fetching its own leaves only. A key must never seal two streams.
 */
import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto';

import type { Bytes } from '#libs/kernel';

import type { BlobSource } from '../blob-store.ts';
import { storageError } from '../errors.ts';
import { LEAF_BYTES } from '../file-writer.ts';

const TAG_BYTES = 16;
/** Plain bytes in a full chunk. */
export const SEALED_CHUNK_BYTES = LEAF_BYTES - TAG_BYTES;

export interface ChunkKey {
  /** 32 bytes. */
  readonly key: Bytes;
  /** Authenticated with every chunk. */
  readonly aad: Bytes;
}

/** Empty content is one empty chunk, so that there is something to authenticate. */
export const chunkCount = (sizeBytes: number): number =>
  Math.max(1, Math.ceil(sizeBytes / SEALED_CHUNK_BYTES));

/** Length of the sealed stream. */
export const sealedSize = (sizeBytes: number): number =>
  sizeBytes + chunkCount(sizeBytes) * TAG_BYTES;

function nonceOf(index: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64BE(BigInt(index));
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

/**
 * Bytes given to the cipher at once. Node's cipher writes into a buffer that is a byte too long and copies that into
 * a second one: at this length both stay in the processor's cache and in memory that the process has already, at a
 * MiB their pages are asked of the system anew each time.
 */
const UPDATE_BYTES = 512 * 1024;

function openChunk({ key, aad }: ChunkKey, sealed: Bytes, index: number, isLast: boolean): Bytes {
  const cut = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(index, isLast), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(aad);
  try {
    decipher.setAuthTag(sealed.subarray(cut));
    const plain = decipher.update(sealed.subarray(0, cut));
    decipher.final();
    return plain;
  } catch {
    throw storageError(
      'STORAGE_SEAL_BROKEN',
      `chunk ${index} of the sealed content does not open: it was changed, moved or cut`,
    );
  }
}

/** Parts shorter than this are put together, so many at a time: a call of the cipher has its price. */
const SHORT_PART_BYTES = 4096;
const SHORT_PARTS = 64;

/** Pieces of one length (the last may be shorter), each in the parts it came in, which are not copied. */
async function* inPieces(source: BlobSource, pieceBytes: number): AsyncGenerator<Bytes[]> {
  let parts: Bytes[] = [];
  let length = 0;
  let shortParts = 0;
  for await (const chunk of source instanceof Uint8Array ? [source] : source) {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + pieceBytes - length);
      parts.push(part);
      length += part.length;
      at += part.length;
      shortParts = part.length < SHORT_PART_BYTES ? shortParts + 1 : 0;
      if (shortParts === SHORT_PARTS) {
        parts.push(Buffer.concat(parts.splice(-SHORT_PARTS)));
        shortParts = 0;
      }
      if (length < pieceBytes) continue;
      yield parts;
      [parts, length, shortParts] = [[], 0, 0];
    }
  }
  if (length > 0) yield parts;
}

/**
 * Seals a stream, whose chunks must stay as they are once given; `count` is told of every piece. A sealed chunk comes
 * in parts, its tag by itself: nothing is copied to put them side by side.
 */
export async function* sealChunks(
  source: BlobSource,
  { key, aad }: ChunkKey,
  count: (sizeBytes: number) => void,
): AsyncGenerator<Bytes> {
  const secret = createSecretKey(key);
  // One loop and no generator within it: a part that is handed on through another costs as much as sealing 20 KiB.
  async function* pieces(): AsyncGenerator<{ readonly parts: readonly Bytes[]; isLast: boolean }> {
    let waiting: readonly Bytes[] = []; // whether a chunk is the last shows when there is no next
    for await (const piece of inPieces(source, SEALED_CHUNK_BYTES)) {
      if (waiting.length > 0) yield { parts: waiting, isLast: false };
      waiting = piece;
      count(piece.reduce((sum, part) => sum + part.length, 0));
    }
    yield { parts: waiting, isLast: true };
  }
  let index = 0;
  for await (const { parts, isLast } of pieces()) {
    const cipher = createCipheriv('aes-256-gcm', secret, nonceOf(index++, isLast));
    cipher.setAAD(aad);
    for (const part of parts)
      for (let at = 0; at < part.length; at += UPDATE_BYTES)
        yield cipher.update(part.subarray(at, at + UPDATE_BYTES));
    cipher.final();
    yield cipher.getAuthTag();
  }
}

export interface ChunkRange {
  /** Plain bytes of the whole content. */
  readonly sizeBytes: number;
  /** Number of the first chunk in the stream. */
  readonly first: number;
  /** Number after the last chunk in the stream. */
  readonly end: number;
}

/** Opens a stream of sealed chunks. @throws STORAGE_SEAL_BROKEN, also when some are missing */
export async function* openChunks(
  sealed: AsyncIterable<Bytes>,
  key: ChunkKey,
  { sizeBytes, first, end }: ChunkRange,
): AsyncGenerator<Bytes> {
  const last = chunkCount(sizeBytes) - 1;
  let index = first;
  for await (const parts of inPieces(sealed, LEAF_BYTES)) {
    const piece = parts.length === 1 ? (parts[0] as Bytes) : Buffer.concat(parts);
    const plain = openChunk(key, piece, index, index === last);
    const expected = index === last ? sizeBytes - last * SEALED_CHUNK_BYTES : SEALED_CHUNK_BYTES;
    if (plain.length !== expected)
      throw storageError(
        'STORAGE_SEAL_BROKEN',
        `chunk ${index} has ${plain.length} bytes where ${expected} are declared`,
      );
    yield plain;
    index++;
  }
  if (index !== end)
    throw storageError(
      'STORAGE_SEAL_BROKEN',
      `the sealed content ends before chunk ${index} of ${end}`,
    );
}
