/**
 * The key-value port on LMDB. `overlappingSync: false`: with LMDB-js's default an acknowledged commit
 * was lost in simulated power cuts; without it none was, at the same speed.
 */
import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, type RangeOptions, open } from 'lmdb';
import {
  type Bytes,
  type KeyRange,
  type KeyValueReader,
  type KeyValueSnapshot,
  type KeyValueStore,
  type KeyValueWrite,
} from '#libs/kernel';
import { storeError } from './errors.ts';
import { checkLmdbFile } from './lmdb-file.ts';

export interface LmdbOptions {
  /** Directory of data.mdb; made when missing, unless `readOnly`. */
  readonly path: string;
  /**
   * For every process but the one that writes: a read-write opener waits for a writer that was
   * stopped, a read-only one never does. `commit` is refused.
   */
  readonly readOnly?: boolean;
  /** Address space reserved for the file; not memory, not disk. */
  readonly mapSizeBytes?: number;
}

/** LMDB's own limit at 4 kB pages, which is what the chain's keys stay far below. */
export const LMDB_MAX_KEY_BYTES = 1_978;

const DEFAULT_MAP_SIZE_BYTES = 64 * 1024 ** 3;

type Environment = ReturnType<typeof open<Buffer, Uint8Array>>;
type Transaction = ReturnType<Environment['useReadTransaction']>;

const plainBytes = (value: Buffer): Bytes =>
  new Uint8Array(value.buffer, value.byteOffset, value.byteLength);

/** What is left when a commit did not fit: less than the pages LMDB writes in one go. */
const FULL_BELOW_BYTES = 1024 * 1024;

/** Asked after a failed write, which LMDB reports as an input/output error whatever the reason. */
function isDiskFull(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize < FULL_BELOW_BYTES;
  } catch {
    return false;
  }
}

const PACK_CHUNK_BYTES = 256 * 1024;
const PACK_MAX_BYTES = 4 * 1024;

/**
 * Copies small values one behind the other into few buffers. LMDB-js asks the system for the address
 * of every buffer it is given, and V8 first has to move a small array out of its heap for that.
 */
function createPacker(): (value: Bytes) => Buffer {
  let chunk = new ArrayBuffer(0);
  let used = 0;
  return (value) => {
    const { length } = value;
    // A view that begins somewhere inside an array is of a large one already.
    if (length > PACK_MAX_BYTES || value.byteOffset > 0) return value as Buffer;
    if (used + length > chunk.byteLength) {
      chunk = new ArrayBuffer(PACK_CHUNK_BYTES);
      used = 0;
    }
    const copy = new Uint8Array(chunk, used, length);
    copy.set(value);
    used += length;
    return copy as Buffer;
  };
}

/** The port's half-open range in LMDB-js's terms, whose `start` is the upper end when reversed. */
function rangeOptions(range: KeyRange): RangeOptions {
  const limit = range.limit === undefined ? {} : { limit: range.limit };
  return range.reverse
    ? {
        ...limit,
        reverse: true,
        start: range.end,
        exclusiveStart: true,
        end: range.start,
        inclusiveEnd: true,
      }
    : { ...limit, start: range.start, end: range.end };
}

function readerOf(
  database: Database<Buffer, Uint8Array>,
  check: () => void,
  transaction?: Transaction,
): KeyValueReader {
  const inside = transaction && { transaction };
  return {
    get(key) {
      check();
      const value = database.get(key, inside);
      return value && plainBytes(value);
    },
    *range(range) {
      check();
      if (range.limit === 0) return;
      for (const { key, value } of database.getRange({ ...rangeOptions(range), ...inside }))
        yield [plainBytes(key as Buffer), plainBytes(value)] as const;
    },
  };
}

function openEnvironment(options: LmdbOptions): Environment {
  const { path, readOnly = false } = options;
  if (readOnly && !existsSync(join(path, 'data.mdb')))
    throw storeError('STORE_OPEN', `there is no database in ${path}`);
  try {
    if (existsSync(path)) accessSync(path, readOnly ? constants.R_OK : constants.W_OK);
    checkLmdbFile(path);
    return open<Buffer, Uint8Array>({
      path,
      readOnly,
      keyEncoding: 'binary',
      encoding: 'binary',
      overlappingSync: false,
      mapSize: options.mapSizeBytes ?? DEFAULT_MAP_SIZE_BYTES,
    });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (typeof code === 'string' && code.startsWith('STORE_')) throw cause;
    if (code === 'ENOSPC' || message.includes('No space left'))
      throw storeError('STORE_FULL', `no space left to open ${path}`, { cause });
    const damaged = /MDB_(INVALID|CORRUPTED|VERSION_MISMATCH|PAGE_NOTFOUND)/.test(message);
    throw storeError(damaged ? 'STORE_CORRUPT' : 'STORE_OPEN', `cannot open ${path}: ${message}`, {
      cause,
    });
  }
}

/**
 * Opens or creates a database.
 * @throws STORE_OPEN, STORE_CORRUPT, STORE_FULL
 */
export function openLmdbStore(options: LmdbOptions): KeyValueStore {
  const environment = openEnvironment(options);
  let failure: Error | undefined;
  const check = (): void => {
    if (failure) throw failure;
  };
  const fail = (cause: unknown): Error => {
    const { message, commitError } = cause as Error & { commitError?: Promise<unknown> };
    // LMDB-js rejects this promise too, later; whoever hears of the failure here needs no more.
    commitError?.catch(() => undefined);
    const isFull = isDiskFull(options.path);
    // The outcome of this commit is unknown, so nothing may be built on the state any more.
    failure = storeError(
      isFull ? 'STORE_FULL' : 'STORE_WRITE',
      `cannot write to ${options.path}: ${isFull ? 'no space left on its disk' : message}`,
      { cause },
    );
    return failure;
  };

  return {
    ...readerOf(environment, check),
    async commit(writes: readonly KeyValueWrite[]) {
      check();
      if (options.readOnly)
        throw storeError('STORE_WRITE', `${options.path} is open for reading only`);
      const pack = createPacker();
      try {
        await environment.batch(() => {
          let heard: Promise<boolean> | undefined;
          for (const { key, value } of writes) {
            const done =
              value === null ? environment.remove(key) : environment.put(key, pack(value));
            // Failures of single operations reject the batch too; their promises must not go unheard.
            // Operations share one promise as a rule: listening to it once saves 16 per transfer.
            if (done !== heard) done.catch(() => undefined);
            heard = done;
          }
        });
      } catch (cause) {
        throw fail(cause);
      }
    },
    snapshot(): KeyValueSnapshot {
      check();
      const transaction = environment.useReadTransaction();
      let open = true;
      const checkOpen = (): void => {
        check();
        if (!open) throw storeError('STORE_CLOSED', 'the snapshot is closed');
      };
      return {
        ...readerOf(environment, checkOpen, transaction),
        close() {
          if (open) transaction.done();
          open = false;
        },
      };
    },
    async close() {
      failure ??= storeError('STORE_CLOSED', `${options.path} is closed`);
      await environment.close();
    },
  };
}
