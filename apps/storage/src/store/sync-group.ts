import { open } from 'node:fs/promises';

/** Folders synced at once: many wait for the same journal commit of the file system. */
const CONCURRENCY = 16;

export interface SyncGroup {
  /** Marks a folder: a name in it changed. */
  add(path: string): void;
  /** Resolves when every name that was marked before the call is durable. */
  sync(): Promise<void>;
}

/** Makes names in folders durable, many callers sharing one round of fsync. */
export function createSyncGroup(): SyncGroup {
  let dirty = new Set<string>();
  let running: Promise<void> = Promise.resolve();
  let waiting: Promise<void> | undefined;

  async function syncFolder(path: string): Promise<void> {
    const folder = await open(path);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  async function round(): Promise<void> {
    const paths = [...dirty];
    dirty = new Set();
    const todo = paths.values();
    const worker = async () => {
      for (const path of todo) await syncFolder(path);
    };
    try {
      await Promise.all(Array.from({ length: Math.min(CONCURRENCY, paths.length) }, worker));
    } catch (error) {
      for (const path of paths) dirty.add(path); // not durable yet: the next round must try
      throw error;
    }
  }

  return {
    add: (path) => void dirty.add(path),
    sync() {
      // Whoever comes while a round runs may have marked a folder that it has passed already.
      waiting ??= running
        .catch(() => {})
        .then(() => {
          waiting = undefined;
          running = round();
          return running;
        });
      return waiting;
    },
  };
}
