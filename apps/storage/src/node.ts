/** The storage node: blocks on disk, pins, collection, and Helia for peers. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Bytes } from '#libs/kernel';
import { parseCid, storageError, verifyBlock } from '#libs/storage';
import { CID } from 'multiformats/cid';
import { identity } from 'multiformats/hashes/identity';

import { walkDag, type DagReader } from './dag/links.ts';
import { openHelia, type HeliaNode } from './helia-node.ts';
import { createCollector, type Collector, type Guard } from './store/collector.ts';
import { requireSpace, writeFailure } from './store/disk.ts';
import { openDurableBlockstore, type DurableBlockstore } from './store/durable-blockstore.ts';
import { lockFolder } from './store/folder-lock.ts';
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
  put(cid: CID, bytes: Bytes): Promise<void>;
  /** Makes durable what was put, then pins (recursively unless told otherwise). */
  commit(pin?: {
    readonly cid: CID;
    readonly type: PinType;
    readonly name?: string;
  }): Promise<void>;
  end(): void;
}

export interface StorageNode extends DagReader {
  readonly store: DurableBlockstore;
  readonly pins: PinLog;
  readonly collector: Collector;
  readonly helia: HeliaNode;
  readonly home: string;
  session(): Session;
  /** Throws STORAGE_FULL when the disk is in its reserve. */
  requireSpace(): Promise<void>;
  close(): Promise<void>;
}

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
  async function read(cid: CID, signal?: AbortSignal): Promise<Bytes> {
    if (cid.multihash.code === identity.code) return verifyBlock(cid, cid.multihash.digest);
    const local = await store.read(cid);
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

  const collector = createCollector({
    store,
    pins,
    graceMs,
    parse: parseCid,
    walk: (root) => walkDag({ read, require }, root),
  });

  function session(): Session {
    const guard: Guard = collector.guard();
    return {
      async put(cid, bytes) {
        guard.touch(cid);
        await store.put(cid, bytes);
      },
      read(cid, signal) {
        guard.touch(cid);
        return read(cid, signal);
      },
      require(cid, signal) {
        guard.touch(cid);
        return require(cid, signal);
      },
      async commit(pin) {
        await store.sync();
        if (pin !== undefined) await pins.set(pin.cid, pin.type, pin.name ?? '');
      },
      end: () => guard.end(),
    };
  }

  return {
    store,
    pins,
    collector,
    helia,
    home,
    read,
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
