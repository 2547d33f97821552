/** The port through which every part of Seele reaches content-addressed storage. */
import type { Bytes } from '#libs/kernel';

/** What can be stored: bytes at once, or a stream of them that is never held whole. */
export type BlobSource = Bytes | Iterable<Bytes> | AsyncIterable<Bytes>;

export interface BlobRef {
  /** CIDv1 in base32 (`bafy…` or `bafk…`), profile `unixfs-v1-2025`. Equal bytes, equal CID. */
  readonly cid: string;
  /** Length of the content in bytes (not of the blocks that hold it). */
  readonly sizeBytes: number;
}

export interface PutOptions {
  /** Keep the content through garbage collection. Default true. */
  readonly pin?: boolean;
  /** Refuse longer content with STORAGE_TOO_LARGE; nothing of it stays pinned. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

export interface GetOptions {
  /** Refuse longer content with STORAGE_TOO_LARGE before its first byte. Always set it for content
   *  that somebody else chose. */
  readonly maxBytes?: number;
  /** First byte wanted. Default 0. */
  readonly offset?: number;
  /** How many bytes are wanted at most. Default: to the end. */
  readonly length?: number;
  readonly signal?: AbortSignal;
}

export type BlockCodec = 'raw' | 'dag-cbor' | 'dag-pb';

export interface PutBlockOptions {
  /** Default `raw`. The bytes are not checked to be valid in that codec. */
  readonly codec?: BlockCodec;
  /** Default true. A pinned block keeps everything it links to as well. */
  readonly pin?: boolean;
  readonly signal?: AbortSignal;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
}

/**
 * Content-addressed blobs and blocks.
 *
 * Whatever a method resolves with is durable (as far as the adapter's store is), and every byte
 * that `get` and `getBlock` give was checked against the CID that was asked for, block by block,
 * before it was given: a lying endpoint can refuse, never deceive.
 *
 * @throws STORAGE_CID_INVALID, STORAGE_NOT_FOUND, STORAGE_CORRUPT, STORAGE_MALFORMED,
 *   STORAGE_TOO_LARGE, STORAGE_FULL, STORAGE_UNAVAILABLE, STORAGE_UNAUTHORIZED, STORAGE_BUSY
 */
export interface BlobStore {
  put(source: BlobSource, options?: PutOptions): Promise<BlobRef>;
  /** Streams a file in order. Back-pressure holds: at most a few blocks are read ahead. */
  get(cid: string, options?: GetOptions): AsyncIterable<Bytes>;
  /** Stores one block of at most 2 MiB (2 097 152 bytes) as it is. */
  putBlock(bytes: Bytes, options?: PutBlockOptions): Promise<BlobRef>;
  getBlock(cid: string, options?: CallOptions): Promise<Bytes>;
  /** Pins recursively; pinning twice is as good as once. @throws STORAGE_NOT_FOUND */
  pin(cid: string, options?: CallOptions): Promise<void>;
  /** Content that is not pinned (any more) may go in the next garbage collection. Idempotent. */
  unpin(cid: string, options?: CallOptions): Promise<void>;
  /** Whether this very CID was pinned (not whether some pinned content links to it). */
  isPinned(cid: string, options?: CallOptions): Promise<boolean>;
  close(): Promise<void>;
}
