/**
 * Leases on disk: written before the market is told, removed when it needs nothing more. Writes that
 * come together share one durable commit. A record that cannot be read is set aside, not fatal.
 */
import { join } from 'node:path';
import {
  type Codec,
  type KeyValueStore,
  type KeyValueWrite,
  decodeWith,
  encodeWith,
  utf8,
} from '#libs/kernel';
import { type StoredLease, type StoredUnits, storedLease, storedUnits } from '#libs/market';
import { type Logger } from '#libs/platform';
import { lockDirectory, openLmdbStore } from '#libs/store';

const RECORD_MAX_BYTES = 256 * 2 ** 20;
const MAP_BYTES = 16 * 2 ** 30;
const key = (lease: string) => utf8(`lease/${lease}`);
const unitsKey = (lease: string) => utf8(`units/${lease}`);

export interface LeaseJournal {
  /** What the last run of this provider left behind. */
  readonly restored: readonly StoredLease[];
  readonly restoredUnits: readonly StoredUnits[];
  /** Durable when it resolves. Rejects when the disk failed: the process must end. */
  save(lease: StoredLease): Promise<void>;
  saveUnits(units: StoredUnits): Promise<void>;
  forget(lease: string): Promise<void>;
  close(): Promise<void>;
}

function restore<T>(store: KeyValueStore, kind: string, codec: Codec<T>, logger: Logger): T[] {
  const leases: T[] = [];
  // '0' is the character after '/'.
  const range = { start: utf8(`${kind}/`), end: utf8(`${kind}0`) };
  for (const [id, bytes] of store.range(range)) {
    try {
      leases.push(decodeWith(codec, bytes, { maxBytes: RECORD_MAX_BYTES, maxDepth: 12 }));
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
    restored: restore(store, 'lease', storedLease, logger),
    restoredUnits: restore(store, 'units', storedUnits, logger),
    save: (lease) => commit({ key: key(lease.lease), value: encodeWith(storedLease, lease) }),
    saveUnits: (units) =>
      commit({ key: unitsKey(units.lease), value: encodeWith(storedUnits, units) }),
    forget: async (lease) => {
      await Promise.all([
        commit({ key: key(lease), value: null }),
        commit({ key: unitsKey(lease), value: null }),
      ]);
    },
    close: async () => {
      await next;
      await last;
      await store.close();
      unlock();
    },
  };
}
