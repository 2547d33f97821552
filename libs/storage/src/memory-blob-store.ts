/** Blobs in memory: for unit tests and the simulators. Same CIDs, same checks, same errors. */
import type { Bytes } from '#libs/kernel';
import type { CID } from 'multiformats/cid';

import type { BlobStore } from './blob-store.ts';
import { blockCid, MAX_BLOCK_BYTES, parseCid, verifyBlock } from './cids.ts';
import { storageError } from './errors.ts';
import { readFile } from './file-reader.ts';
import { writeFile } from './file-writer.ts';

export interface MemoryBlobStoreOptions {
  /** Refuse to hold more than this with STORAGE_FULL. Default 256 MiB. */
  readonly capacityBytes?: number;
}

/** The block map is given too, so that tests can lose and corrupt blocks. */
export interface MemoryBlobStore extends BlobStore {
  /** Block bytes by the hex of their multihash. */
  readonly blocks: Map<string, Bytes>;
}

const keyOf = (cid: CID) => Buffer.from(cid.multihash.bytes).toString('hex');
/** CIDs of both versions name the same content. */
const pinOf = (cid: CID) => cid.toV1().toString();

export function createMemoryBlobStore(options: MemoryBlobStoreOptions = {}): MemoryBlobStore {
  const capacityBytes = options.capacityBytes ?? 256 * 1024 * 1024;
  const blocks = new Map<string, Bytes>();
  const pins = new Set<string>();
  let heldBytes = 0;

  const read = async (cid: CID): Promise<Bytes> => {
    const bytes = blocks.get(keyOf(cid));
    if (bytes === undefined)
      throw storageError('STORAGE_NOT_FOUND', `${cid.toString()} is not stored here`);
    return verifyBlock(cid, bytes);
  };
  const write = async (cid: CID, bytes: Bytes): Promise<void> => {
    const key = keyOf(cid);
    if (blocks.has(key)) return;
    if (heldBytes + bytes.length > capacityBytes)
      throw storageError('STORAGE_FULL', `the memory store holds at most ${capacityBytes} bytes`);
    heldBytes += bytes.length;
    blocks.set(key, bytes.slice()); // the caller may reuse its buffer
  };

  return {
    blocks,
    async put(source, { pin = true, maxBytes, signal } = {}) {
      signal?.throwIfAborted();
      const stored = await writeFile(source, write, maxBytes);
      if (pin) pins.add(stored.cid);
      return stored;
    },
    async *get(cid, getOptions) {
      yield* readFile(read, parseCid(cid), getOptions);
    },
    async putBlock(bytes, { codec = 'raw', pin = true } = {}) {
      if (bytes.length > MAX_BLOCK_BYTES)
        throw storageError('STORAGE_TOO_LARGE', `a block has at most ${MAX_BLOCK_BYTES} bytes`);
      const cid = await blockCid(bytes, codec);
      await write(cid, bytes);
      if (pin) pins.add(cid.toString());
      return { cid: cid.toString(), sizeBytes: bytes.length };
    },
    async getBlock(cid) {
      return (await read(parseCid(cid))).slice();
    },
    async pin(cid) {
      const parsed = parseCid(cid);
      await read(parsed);
      pins.add(pinOf(parsed));
    },
    async unpin(cid) {
      pins.delete(pinOf(parseCid(cid)));
    },
    async isPinned(cid) {
      return pins.has(pinOf(parseCid(cid)));
    },
    async close() {},
  };
}
