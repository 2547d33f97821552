/** The storage node: blocks on disk, pins, collection, and Helia for peers. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Bytes } from '#libs/kernel';
import { parseCid, RAW_CODE, storageError, verifyBlock } from '#libs/storage';
import { CID } from 'multiformats/cid';
import { identity } from 'multiformats/hashes/identity';

import { walkDag, type DagReader } from './dag/links.ts';
import { openHelia, type HeliaNode } from './helia-node.ts';
import { createCollector, type Collector, type Guard } from './store/collector.ts';
import { requireSpace, writeFailure } from './store/disk.ts';
import { openDurableBlockstore, type DurableBlockstore } from './store/durable-blockstore.ts';
import { lockFolder } from './store/folder-lock.ts';
import { createReadBuffers, type ReadBuffers } from './store/read-buffers.ts';
import { openPinLog, type PinLog, type PinType } from './store/pin-log.ts';

export interface StorageNodeOptions {
  readonly home: string;
  /** Multiaddrs to listen on for peers; none: no peers at all. */
  readonly swarm: readonly string[];
  readonly graceMs: number;
  readonly fetchTimeoutMs: number;
  readonly reserveBytes: number;
}

/** What one writing call does: its blocks are safe from collection until it ends. */
export interface Session extends DagReader {
  /** Takes a block; whether it could be written shows at the next `put` or in `commit`. */
  put(cid: CID, bytes: Bytes): Promise<void>;
  /** Makes durable what was put, then pins (recursively unless told otherwise). */
  commit(pin?: {
    readonly cid: CID;
    readonly type: PinType;
    readonly name?: string;
  }): Promise<void>;
  /** Waits for what is being written, so that nothing of a call outlives it. */
  end(): Promise<void>;
}

export interface StorageNode extends DagReader {
  readonly store: DurableBlockstore;
  readonly pins: PinLog;
  readonly collector: Collector;
  readonly helia: HeliaNode;
  readonly home: string;
  /** Raw blocks come in buffers of `buffers`, to be given back there once they are sent. */
  readonly readToSend: DagReader['read'];
  readonly buffers: ReadBuffers;
  session(): Session;
  /** Throws STORAGE_FULL when the disk is in its reserve. */
  requireSpace(): Promise<void>;
  close(): Promise<void>;
}

/** Blocks that one call may have in the making: bounds its memory at twice as many MiB. */
const WRITE_BEHIND_BLOCKS = 12;

export async function openStorageNode(options: StorageNodeOptions): Promise<StorageNode> {
  const { home, graceMs, fetchTimeoutMs, reserveBytes } = options;
  await mkdir(home, { recursive: true }).catch((error: unknown) => {
    throw writeFailure(error, home);
  });
  const unlock = await lockFolder(home);
  const store = await openDurableBlockstore(home);
  const pins = await openPinLog(join(home, 'pins.log'), parseCid);
  const helia = await openHelia({ store, home, swarm: options.swarm });

  /** From disk, or else from peers when there are any. */
  async function read(cid: CID, signal?: AbortSignal, into?: Buffer): Promise<Bytes> {
    if (cid.multihash.code === identity.code) return verifyBlock(cid, cid.multihash.digest);
    const local = await store.read(cid, into);
    if (local !== undefined) return local;
    if (helia.peerCount() === 0)
      throw storageError('STORAGE_NOT_FOUND', `block ${cid.toString()} was not found locally`);
    const limit = AbortSignal.timeout(fetchTimeoutMs);
    try {
      return await helia.fetch(cid, signal ? AbortSignal.any([signal, limit]) : limit);
    } catch {
      signal?.throwIfAborted();
      throw storageError(
        'STORAGE_NOT_FOUND',
        `block ${cid.toString()} was not found locally, nor at ${helia.peerCount()} peers`,
      );
    }
  }
  async function require(cid: CID, signal?: AbortSignal): Promise<void> {
    if (cid.multihash.code !== identity.code && !(await store.has(cid))) await read(cid, signal);
  }

  const buffers = createReadBuffers();
  async function readToSend(cid: CID, signal?: AbortSignal): Promise<Bytes> {
    if (cid.code !== RAW_CODE) return read(cid, signal); // to be decoded: views of it may live on
    const buffer = buffers.take();
    try {
      const bytes = await read(cid, signal, buffer);
      if (bytes.buffer !== buffer.buffer) buffers.giveBack(buffer);
      return bytes;
    } catch (error) {
      buffers.giveBack(buffer);
      throw error;
    }
  }

  const collector = createCollector({
    store,
    pins,
    graceMs,
    parse: parseCid,
    walk: (root) => walkDag({ read, require }, root),
  });

  function session(): Session {
    const guard: Guard = collector.guard();
    const writing = new Set<Promise<void>>();
    let failure: unknown;

    /** Resolves when nothing is being written any more. @throws what a write failed with */
    async function settle(): Promise<void> {
      await Promise.all(writing);
      if (failure !== undefined) throw failure;
    }
    return {
      async put(cid, bytes) {
        guard.touch(cid);
        if (failure !== undefined) throw failure;
        // Written behind, so that the next bytes are received while these are synced.
        const write: Promise<void> = store
          .put(cid, bytes)
          .then(
            () => {},
            (error: unknown) => void (failure ??= error),
          )
          .finally(() => writing.delete(write));
        writing.add(write);
        if (writing.size >= WRITE_BEHIND_BLOCKS) await Promise.race(writing);
      },
      async read(cid, signal) {
        guard.touch(cid);
        if (writing.size > 0) await settle();
        return read(cid, signal);
      },
      async require(cid, signal) {
        guard.touch(cid);
        if (writing.size > 0) await settle();
        return require(cid, signal);
      },
      async commit(pin) {
        await settle();
        await store.sync();
        if (pin !== undefined) await pins.set(pin.cid, pin.type, pin.name ?? '');
      },
      async end() {
        await Promise.all(writing);
        guard.end();
      },
    };
  }

  return {
    store,
    pins,
    collector,
    helia,
    home,
    read,
    readToSend,
    buffers,
    require,
    session,
    requireSpace: () => requireSpace(home, reserveBytes),
    async close() {
      await helia.close();
      await pins.close();
      await unlock();
    },
  };
}
