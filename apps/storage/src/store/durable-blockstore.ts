/**
 * A blockstore of files: one file a block, named by the block's multihash (CIDs of both versions
 * and of every codec share it), spread over 256 folders by the last byte of the digest.
 *
 * A block is written beside, synced, and renamed into place, so a file under its final name is
 * whole; `sync()` makes the names durable as well. Reads check the hash all the same (disks lie) and
 * move a file that fails aside, so that putting the content again mends it.
 */
import {
  closeSync,
  constants,
  open as openCallback,
  read as readCallback,
  unlinkSync,
} from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { declareFailpoints, failpoint } from '#libs/platform';
import { isBlockOf, storageError } from '#libs/storage';
import type { Bytes } from '#libs/kernel';
import type { HeliaInit } from 'helia';
import { base32 } from 'multiformats/bases/base32';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import * as Digest from 'multiformats/hashes/digest';

import { writeFailure } from './disk.ts';
import { createSyncGroup } from './sync-group.ts';

type HeliaBlockstore = NonNullable<HeliaInit['blockstore']>;
type PutValue = Parameters<HeliaBlockstore['put']>[1];
type CallOptions = { readonly signal?: AbortSignal };

/** Name of a block: base32 of its multihash. */
export type BlockKey = string;

export const keyOf = (cid: CID): BlockKey => base32.encode(cid.multihash.bytes);

declareFailpoints('storage.block.before', 'storage.block.during', 'storage.block.after');

const EXTENSION = '.block';
/** Written again only after this, so that hot blocks do not cost a write each time. */
const TOUCH_EVERY_MS = 1_000;

export interface StoredBlock {
  readonly key: BlockKey;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

export interface DurableBlockstore extends HeliaBlockstore {
  /** Stores a block; its bytes are on the disk when this resolves, its name after `sync()`. */
  put(cid: CID, value: PutValue, options?: CallOptions): Promise<CID>;
  /** The verified bytes, or undefined when absent; a view of `into` when given and long enough.
   *  @throws STORAGE_CORRUPT */
  read(cid: CID, into?: Buffer): Promise<Bytes | undefined>;
  has(cid: CID): Promise<boolean>;
  /** Length of a stored block in bytes, or undefined when absent. */
  sizeOf(cid: CID): Promise<number | undefined>;
  /** Resolves when every block put before it survives a power cut. */
  sync(): Promise<void>;
  blocks(): AsyncGenerator<StoredBlock>;
  /** Removes at once, without a turn of the event loop in between: for the collector. */
  removeNow(key: BlockKey): void;
}

const cidOfKey = (key: BlockKey): CID => CID.createV1(raw.code, Digest.decode(base32.decode(key)));

async function wholeValue(value: PutValue): Promise<Bytes> {
  if (value instanceof Uint8Array) return value;
  const parts: Uint8Array[] = [];
  for await (const part of value) parts.push(part);
  return Buffer.concat(parts);
}

const openFd = promisify(openCallback);

/**
 * A block shorter than the buffer, in one `read`; undefined when it may be longer. Closing is done
 * at once: of a file that was only read it never waits, unlike a trip through the thread pool.
 */
async function readShort(path: string, into: Buffer): Promise<Bytes | undefined> {
  const fd = await openFd(path, constants.O_RDONLY);
  try {
    const length = await new Promise<number>((resolve, reject) =>
      readCallback(fd, into, 0, into.length, 0, (error, bytesRead) =>
        error === null ? resolve(bytesRead) : reject(error),
      ),
    );
    return length < into.length ? into.subarray(0, length) : undefined;
  } finally {
    closeSync(fd);
  }
}

async function readWhole(path: string): Promise<Bytes> {
  const file = await open(path, constants.O_RDONLY);
  try {
    const { size } = await file.stat();
    const bytes = Buffer.allocUnsafeSlow(size);
    let at = 0;
    while (at < size) {
      const { bytesRead } = await file.read(bytes, at, size - at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

/** Opens (and creates) the store. @throws STORAGE_FULL, STORAGE_DISK when the folder is unusable */
export async function openDurableBlockstore(root: string): Promise<DurableBlockstore> {
  const blocksPath = join(root, 'blocks');
  const beside = join(root, 'incoming');
  const corrupt = join(root, 'corrupt');
  const folder = (key: BlockKey) => {
    const bytes = base32.decode(key);
    return join(blocksPath, (bytes[bytes.length - 1] as number).toString(16).padStart(2, '0'));
  };
  const pathOf = (key: BlockKey) => join(folder(key), key + EXTENSION);
  const names = createSyncGroup();
  let written = 0;

  try {
    await rm(beside, { recursive: true, force: true }); // half-written by a process that died
    for (const path of [blocksPath, beside, corrupt]) await mkdir(path, { recursive: true });
    for (let i = 0; i < 256; i++) {
      await mkdir(join(blocksPath, i.toString(16).padStart(2, '0')), { recursive: true });
    }
    const probe = join(beside, 'probe');
    await (await open(probe, 'w')).close();
    await rm(probe);
    names.add(blocksPath);
    names.add(root);
    await names.sync();
  } catch (error) {
    throw writeFailure(error, root);
  }

  /** True when a whole copy is there already; marks it as just used, against the collector. */
  async function touch(path: string, length: number): Promise<boolean> {
    try {
      const { size, mtimeMs } = await stat(path);
      if (size !== length) return false; // damaged: write it again
      const now = Date.now();
      if (now - mtimeMs > TOUCH_EVERY_MS) await utimes(path, now / 1000, now / 1000);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
  }

  async function writeBeside(bytes: Bytes): Promise<string> {
    const path = join(beside, `${process.pid}-${++written}`);
    try {
      const file = await open(path, 'wx');
      try {
        let at = 0;
        while (at < bytes.length)
          at += (await file.write(bytes, at, bytes.length - at)).bytesWritten;
        await file.datasync();
      } finally {
        await file.close();
      }
      return path;
    } catch (error) {
      await rm(path, { force: true }).catch(() => {});
      throw error;
    }
  }

  const store: DurableBlockstore = {
    async put(cid, value) {
      const bytes = await wholeValue(value);
      const key = keyOf(cid);
      const path = pathOf(key);
      try {
        if (!(await touch(path, bytes.length))) {
          failpoint('storage.block.before');
          const beside = await writeBeside(bytes);
          failpoint('storage.block.during');
          await rename(beside, path);
        }
        names.add(folder(key));
        failpoint('storage.block.after');
      } catch (error) {
        throw writeFailure(error, root);
      }
      return cid;
    },
    async read(cid, into) {
      const key = keyOf(cid);
      const path = pathOf(key);
      let bytes: Bytes;
      try {
        const short = into === undefined ? undefined : await readShort(path, into);
        if (short !== undefined && (await isBlockOf(cid, short))) return short;
        bytes = await readWhole(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw storageError('STORAGE_FAILED', `cannot read ${path}: ${String(error)}`);
      }
      if (await isBlockOf(cid, bytes)) return bytes;
      await rename(path, join(corrupt, `${key}-${Date.now()}`)).catch(() => {});
      throw storageError(
        'STORAGE_CORRUPT',
        `the stored block ${cid.toString()} has another hash; it was moved to ${corrupt}`,
      );
    },
    async has(cid) {
      return (await store.sizeOf(cid)) !== undefined;
    },
    async sizeOf(cid) {
      return stat(pathOf(keyOf(cid))).then(
        ({ size }) => size,
        () => undefined,
      );
    },
    sync: () => names.sync().catch((error: unknown) => Promise.reject(writeFailure(error, root))),
    async *blocks() {
      for (const name of await readdir(blocksPath))
        for (const file of await readdir(join(blocksPath, name))) {
          if (!file.endsWith(EXTENSION)) continue;
          const found = await stat(join(blocksPath, name, file)).catch(() => undefined);
          if (found !== undefined)
            yield {
              key: file.slice(0, -EXTENSION.length),
              sizeBytes: found.size,
              modifiedMs: found.mtimeMs,
            };
        }
    },
    removeNow(key) {
      unlinkSync(pathOf(key));
    },
    async *get(cid) {
      const bytes = await store.read(cid);
      if (bytes === undefined)
        throw storageError('STORAGE_NOT_FOUND', `${cid.toString()} is not stored here`);
      yield bytes;
    },
    async *getMany(source) {
      for await (const cid of source)
        yield { cid, bytes: store.get(cid) as AsyncGenerator<Uint8Array> };
    },
    async *putMany(source) {
      for await (const { cid, bytes } of source) yield store.put(cid, bytes);
    },
    async delete(cid) {
      await rm(pathOf(keyOf(cid)), { force: true });
    },
    async *deleteMany(source) {
      for await (const cid of source) {
        await store.delete(cid);
        yield cid;
      }
    },
    async *getAll() {
      for await (const { key } of store.blocks()) {
        const cid = cidOfKey(key);
        yield { cid, bytes: store.get(cid) as AsyncGenerator<Uint8Array> };
      }
    },
  };
  return store;
}

export { cidOfKey };
