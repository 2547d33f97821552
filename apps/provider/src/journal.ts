/**
 * Leases on disk: written before the market is told, removed when it needs nothing more. Writes that
 * come together share one durable commit. A record that cannot be read is set aside, not fatal.
 */
import { join } from 'node:path';
import { type KeyValueStore, type KeyValueWrite, decodeWith, encodeWith, utf8 } from '#libs/kernel';
import { type StoredLease, storedLease } from '#libs/market';
import { type Logger } from '#libs/platform';
import { lockDirectory, openLmdbStore } from '#libs/store';

const RECORD_MAX_BYTES = 256 * 2 ** 20;
const MAP_BYTES = 16 * 2 ** 30;
const key = (lease: string) => utf8(`lease/${lease}`);

export interface LeaseJournal {
  /** What the last run of this provider left behind. */
  readonly restored: readonly StoredLease[];
  /** Durable when it resolves. Rejects when the disk failed: the process must end. */
  save(lease: StoredLease): Promise<void>;
  forget(lease: string): Promise<void>;
  close(): Promise<void>;
}

function restore(store: KeyValueStore, logger: Logger): StoredLease[] {
  const leases: StoredLease[] = [];
  for (const [id, bytes] of store.range({ start: utf8('lease/'), end: utf8('lease0') })) {
    try {
      leases.push(decodeWith(storedLease, bytes, { maxBytes: RECORD_MAX_BYTES, maxDepth: 12 }));
    } catch (error) {
      logger.error({ err: error, record: id.length }, 'a lease record cannot be read; ignored');
    }
  }
  return leases;
}

/** @throws STORE_IN_USE, STORE_OPEN, STORE_CORRUPT, STORE_FULL */
export function openLeaseJournal(folder: string, logger: Logger): LeaseJournal {
  const unlock = lockDirectory(folder);
  const store = openLmdbStore({ path: join(folder, 'leases'), mapSizeBytes: MAP_BYTES });
  let pending: KeyValueWrite[] = [];
  let last: Promise<void> = Promise.resolve();
  let next: Promise<void> | undefined;
  const commit = (write: KeyValueWrite): Promise<void> => {
    pending.push(write);
    // Whatever comes before the batch is taken shares it, and its durability.
    next ??= Promise.resolve().then(() => {
      next = undefined;
      const batch = pending;
      pending = [];
      last = store.commit(batch);
      return last;
    });
    return next;
  };
  return {
    restored: restore(store, logger),
    save: (lease) => commit({ key: key(lease.lease), value: encodeWith(storedLease, lease) }),
    forget: (lease) => commit({ key: key(lease), value: null }),
    close: async () => {
      await next;
      await last;
      await store.close();
      unlock();
    },
  };
}
