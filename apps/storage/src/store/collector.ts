/**
 * Garbage collection that cannot lose what is being added.
 *
 * Every call that writes or pins holds a guard, which remembers the blocks it touched. A collection
 * marks from the pins that stand when it starts, and sweeps only blocks that are not marked, are
 * older than the grace time (the longest add), and were touched by no guard that is open or was
 * closed since it started. The last look and the removal happen in one turn of the event loop.
 */
import { declareFailpoints, failpoint } from '#libs/platform';
import { storageError } from '#libs/storage';
import type { CID } from 'multiformats/cid';

import { cidOfKey, keyOf, type BlockKey, type DurableBlockstore } from './durable-blockstore.ts';
import type { PinLog } from './pin-log.ts';

declareFailpoints('storage.collect.before', 'storage.collect.during', 'storage.collect.after');

export interface Guard {
  touch(cid: CID): void;
  /** Call it when everything touched is pinned, or not meant to last. */
  end(): void;
}

export interface CollectorOptions {
  readonly store: DurableBlockstore;
  readonly pins: PinLog;
  /** Every CID reachable from a root, the root included. @throws when a block is missing */
  readonly walk: (root: CID) => AsyncIterable<CID>;
  readonly parse: (text: string) => CID;
  /** Blocks written or used within this time are never collected, in milliseconds. */
  readonly graceMs: number;
}

export interface Collector {
  guard(): Guard;
  /** Removes what no pin needs, telling each removed CID (as a raw block). One at a time. */
  collect(signal?: AbortSignal): AsyncGenerator<CID>;
  /** Whether a call that runs (or ran since a collection started) put or read the block. */
  isTouched(cid: CID): boolean;
  /** Keys of every block that a pin needs. @throws STORAGE_NOT_FOUND when a pinned one is lost */
  marked(): Promise<Set<BlockKey>>;
}

export function createCollector(options: CollectorOptions): Collector {
  const { store, pins, walk, parse, graceMs } = options;
  const open = new Set<Set<BlockKey>>();
  let touchedMeanwhile: Set<BlockKey> | undefined;

  async function marked(): Promise<Set<BlockKey>> {
    const keys = new Set<BlockKey>();
    const snapshot = [...pins.pins.values()];
    for (const pin of snapshot) {
      const root = parse(pin.cid);
      if (pin.type === 'direct') keys.add(keyOf(root));
      else for await (const cid of walk(root)) keys.add(keyOf(cid));
    }
    return keys;
  }

  function isTouched(key: BlockKey): boolean {
    if (touchedMeanwhile?.has(key)) return true;
    for (const keys of open) if (keys.has(key)) return true;
    return false;
  }

  return {
    marked,
    isTouched: (cid) => isTouched(keyOf(cid)),
    guard() {
      const keys = new Set<BlockKey>();
      open.add(keys);
      return {
        touch: (cid) => void keys.add(keyOf(cid)),
        end() {
          if (!open.delete(keys)) return;
          for (const key of keys) touchedMeanwhile?.add(key);
        },
      };
    },
    async *collect(signal) {
      if (touchedMeanwhile !== undefined)
        throw storageError('STORAGE_BUSY', 'a garbage collection runs already');
      touchedMeanwhile = new Set();
      try {
        failpoint('storage.collect.before');
        const keep = await marked();
        const cutoffMs = Date.now() - graceMs;
        for await (const { key, modifiedMs } of store.blocks()) {
          signal?.throwIfAborted();
          if (keep.has(key) || modifiedMs > cutoffMs) continue;
          if (isTouched(key)) continue;
          failpoint('storage.collect.during');
          store.removeNow(key);
          yield cidOfKey(key);
        }
        failpoint('storage.collect.after');
      } finally {
        touchedMeanwhile = undefined;
      }
    },
  };
}
