/** Content that is encrypted before it leaves its owner: sealing and opening one stream. */
import { hkdfSha256 } from '#libs/crypto';
import { concatBytes, utf8, type Bytes, type Randomness } from '#libs/kernel';

import type { BlobRef, BlobSource, BlobStore, CallOptions, GetOptions } from '../blob-store.ts';
import { DAG_CBOR_CODE, parseCid } from '../cids.ts';
import { storageError } from '../errors.ts';
import { LEAF_BYTES } from '../file-writer.ts';
import {
  chunkCount,
  openChunks,
  SEALED_CHUNK_BYTES,
  sealChunks,
  sealedSize,
  type ChunkKey,
} from './chunk-cipher.ts';
import {
  decodeEnvelope,
  encodeEnvelope,
  openEnvelope,
  SEALED_DOMAIN,
  type Envelope,
} from './envelope.ts';
import { CONTENT_KEY_BYTES, type KeyUnwrap, type KeyWrap } from './key-wrap.ts';

export interface SealOptions {
  /** Who may read: 1 to 256. Put yourself among them, or you cannot. */
  readonly recipients: readonly KeyWrap[];
  readonly randomness: Randomness;
  /** What the content belongs to, at most 1 024 characters; readers see it, nobody can change it. */
  readonly context?: string;
  /** Default true: keeps envelope and content through garbage collection. */
  readonly pin?: boolean;
  /** Refuse longer content (plain bytes) with STORAGE_TOO_LARGE. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

export interface SealedRef extends BlobRef {
  /** CID of the envelope: what to hand on. */
  readonly cid: string;
  /** Plain bytes. */
  readonly sizeBytes: number;
  /** CID of the ciphertext; of no use without the envelope. */
  readonly content: string;
}

export interface SealedBlob {
  readonly kind: 'blob';
  readonly context: string;
  readonly sizeBytes: number;
  /** Any range, by fetching and opening only its own chunks. @throws STORAGE_SEAL_BROKEN */
  read(options?: GetOptions): AsyncGenerator<Bytes>;
}

export type SealedStream = { readonly content: string; readonly sizeBytes: number };
type Purpose = 'content' | 'manifest';

/** Each stream of an envelope has a key of its own, since all count their chunks from 0. */
export function chunkKeyOf(contentKey: Bytes, purpose: Purpose, context: string): ChunkKey {
  const info = utf8(`${SEALED_DOMAIN}/${purpose}`);
  return {
    key: hkdfSha256(contentKey, new Uint8Array(), info, CONTENT_KEY_BYTES),
    aad: concatBytes(utf8(SEALED_DOMAIN), Uint8Array.of(0), utf8(context)),
  };
}

type StreamOptions = Pick<SealOptions, 'maxBytes' | 'signal'>;

/** Puts one sealed stream, unpinned: the pin on the envelope keeps it. */
export async function putSealedStream(
  store: BlobStore,
  source: BlobSource,
  key: ChunkKey,
  { maxBytes = Infinity, signal }: StreamOptions,
): Promise<SealedStream> {
  let sizeBytes = 0;
  const sealed = sealChunks(source, key, (length) => {
    sizeBytes += length;
    if (sizeBytes > maxBytes)
      throw storageError('STORAGE_TOO_LARGE', `the content is longer than ${maxBytes} bytes`);
  });
  const { cid } = await store.put(sealed, { pin: false, ...(signal ? { signal } : {}) });
  return { content: cid, sizeBytes };
}

export async function* readSealedStream(
  store: BlobStore,
  { content, sizeBytes }: SealedStream,
  key: ChunkKey,
  options: GetOptions = {},
): AsyncGenerator<Bytes> {
  const { offset = 0, length = Infinity, maxBytes = Infinity, signal } = options;
  if (sizeBytes > maxBytes)
    throw storageError(
      'STORAGE_TOO_LARGE',
      `the content has ${sizeBytes} bytes, more than the ${maxBytes} allowed here`,
    );
  const to = Math.min(offset + length, sizeBytes);
  if (offset >= to && sizeBytes > 0) return;
  const first = Math.floor(Math.min(offset, to) / SEALED_CHUNK_BYTES);
  const end = sizeBytes === 0 ? 1 : Math.ceil(to / SEALED_CHUNK_BYTES);
  const sealed = store.get(content, {
    maxBytes: sealedSize(sizeBytes),
    offset: first * LEAF_BYTES,
    // To the very end where the last chunk is wanted, so that anything after it shows.
    ...(end === chunkCount(sizeBytes) ? {} : { length: (end - first) * LEAF_BYTES }),
    ...(signal ? { signal } : {}),
  });
  let at = first * SEALED_CHUNK_BYTES;
  for await (const plain of openChunks(sealed, key, { sizeBytes, first, end })) {
    const from = Math.max(offset - at, 0);
    const until = Math.min(to - at, plain.length);
    if (from < until) yield plain.subarray(from, until);
    at += plain.length;
  }
}

export async function putEnvelope(
  store: BlobStore,
  envelope: Bytes,
  { pin = true, signal }: Pick<SealOptions, 'pin' | 'signal'>,
): Promise<string> {
  const { cid } = await store.putBlock(envelope, {
    codec: 'dag-cbor',
    pin,
    ...(signal ? { signal } : {}),
  });
  return cid;
}

/**
 * Encrypts a stream under a fresh random key and stores it, with the key wrapped for each recipient.
 * Equal content never gives equal ciphertext: nobody can tell by the CID what is in it.
 *
 * @throws STORAGE_KEY_INVALID, STORAGE_TOO_LARGE, and what `BlobStore` throws
 */
export async function sealBlob(
  store: BlobStore,
  source: BlobSource,
  options: SealOptions,
): Promise<SealedRef> {
  const { recipients, randomness, context = '' } = options;
  const contentKey = randomness.bytes(CONTENT_KEY_BYTES);
  const key = chunkKeyOf(contentKey, 'content', context);
  const stream = await putSealedStream(store, source, key, options);
  const header = { type: SEALED_DOMAIN, context, ...stream } as const;
  const envelope = await encodeEnvelope(header, contentKey, recipients);
  return { cid: await putEnvelope(store, envelope, options), ...stream };
}

/** Whether a CID may name an envelope: those are dag-cbor, plain files never are. */
export function isSealedCid(cid: string): boolean {
  return parseCid(cid).code === DAG_CBOR_CODE;
}

export interface OpenedEnvelope {
  readonly envelope: Envelope;
  readonly contentKey: Bytes;
}

/** @throws STORAGE_SEALED, STORAGE_MALFORMED, and what `BlobStore` throws */
export async function readEnvelope(
  store: BlobStore,
  cid: string,
  readers: readonly KeyUnwrap[],
  options?: CallOptions,
): Promise<OpenedEnvelope> {
  if (!isSealedCid(cid)) throw storageError('STORAGE_MALFORMED', `${cid} is not a sealed content`);
  const envelope = decodeEnvelope(await store.getBlock(cid, options));
  return { envelope, contentKey: await openEnvelope(envelope, readers) };
}

export function openedBlob(store: BlobStore, { envelope, contentKey }: OpenedEnvelope): SealedBlob {
  const { context, content, sizeBytes } = envelope;
  const key = chunkKeyOf(contentKey, 'content', context);
  return {
    kind: 'blob',
    context,
    sizeBytes,
    read: (options) => readSealedStream(store, { content, sizeBytes }, key, options),
  };
}
