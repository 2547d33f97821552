/**
 * Blobs behind a Kubo RPC (v0): the storage app, or a real Kubo (0.34 or newer, for
 * `max-file-links`) in its place. The endpoint is not trusted: blocks are fetched one by one and
 * checked against their CIDs here, and the CID of what was put is computed here as well.
 */
import { setTimeout as delay } from 'node:timers/promises';

import type { Bytes } from '#libs/kernel';
import type { KuboRPCClient } from 'kubo-rpc-client';
import { CID } from 'multiformats/cid';

import type { BlobRef, BlobSource, BlobStore, BlockCodec } from './blob-store.ts';
import { createBlockCalls } from './block-calls.ts';
import { blockCid, MAX_BLOCK_BYTES, parseCid, verifyBlock } from './cids.ts';
import { storageError } from './errors.ts';
import { readFile } from './file-reader.ts';
import { blobRef, LEAF_BYTES, limited } from './file-writer.ts';
import { mayRetry, toStorageError } from './kubo-errors.ts';
import { teeBytes } from './tee-bytes.ts';

export interface KuboBlobStoreOptions {
  /** Where the RPC listens, without `/api/v0`, for example `http://127.0.0.1:7402`. */
  readonly url: string;
  /** Bearer token; leave it out for an endpoint that asks for none. */
  readonly token?: string;
  /** Time-out of one block, pin or small-blob call. Default 30 000 ms. Streams have none. */
  readonly timeoutMs?: number;
  /** Blocks fetched ahead of the reader. Default 8. */
  readonly readAhead?: number;
}

/** Waits before the second, third and fourth attempt. Every call is idempotent by content. */
const RETRY_DELAYS_MS = [20, 100, 400];

/** Opens lazily: nothing is sent before the first call. */
export function createKuboBlobStore(options: KuboBlobStoreOptions): BlobStore {
  const { url, token, timeoutMs = 30_000, readAhead = 8 } = options;
  const api = `${url.replace(/\/+$/, '')}/api/v0`;
  const headers: Record<string, string> =
    token === undefined ? {} : { authorization: `Bearer ${token}` };
  let client: Promise<KuboRPCClient> | undefined;
  const open = () =>
    (client ??= import('kubo-rpc-client').then(({ create }) => create({ url: api, headers })));

  const blocks = createBlockCalls(api, headers);

  async function call<T>(
    signal: AbortSignal | undefined,
    send: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted();
      const limit = AbortSignal.timeout(timeoutMs);
      try {
        return await send(signal ? AbortSignal.any([signal, limit]) : limit);
      } catch (error) {
        const failure = toStorageError(error, url, signal);
        const wait = RETRY_DELAYS_MS[attempt];
        if (wait === undefined || limit.aborted || !mayRetry(failure)) throw failure;
        await delay(wait, undefined, signal ? { signal } : {});
      }
    }
  }

  const readBlock = (cid: CID, signal?: AbortSignal): Promise<Bytes> =>
    call(signal, async (callSignal) => verifyBlock(cid, await blocks.get(cid, callSignal)));

  async function putBlock(
    bytes: Bytes,
    codec: BlockCodec,
    pin: boolean,
    signal: AbortSignal | undefined,
  ): Promise<BlobRef> {
    const cid = await blockCid(bytes, codec);
    const answered = await call(signal, (callSignal) =>
      blocks.put(cid, bytes, { codec, pin }, callSignal),
    );
    expectSame(cid.toString(), answered);
    return { cid: cid.toString(), sizeBytes: bytes.length };
  }

  async function putStream(
    source: BlobSource,
    pin: boolean,
    maxBytes: number,
    signal: AbortSignal | undefined,
  ): Promise<BlobRef> {
    // Two readers in step: what is sent is what is hashed here. A failing source fails both.
    const [sent, hashed] = teeBytes(limited(source, maxBytes, () => {}));
    const local = blobRef(hashed);
    local.catch(() => {}); // looked at below, after the upload
    try {
      const added = await blocks.add(sent, pin, signal);
      const computed = await local;
      expectSame(computed.cid, added);
      return computed;
    } catch (error) {
      await sent.return?.(undefined);
      const failure = await sourceFailure(local);
      throw failure ?? toStorageError(error, url, signal);
    }
  }

  return {
    async put(source, { pin = true, maxBytes = Infinity, signal } = {}) {
      signal?.throwIfAborted();
      if (!(source instanceof Uint8Array)) return putStream(source, pin, maxBytes, signal);
      if (source.length > maxBytes)
        throw storageError('STORAGE_TOO_LARGE', `the content is longer than ${maxBytes} bytes`);
      if (source.length <= LEAF_BYTES) return putBlock(source, 'raw', pin, signal);
      return putStream(source, pin, maxBytes, signal);
    },
    async *get(cid, getOptions) {
      yield* readFile(readBlock, parseCid(cid), { readAhead, ...getOptions });
    },
    async putBlock(bytes, { codec = 'raw', pin = true, signal } = {}) {
      if (bytes.length > MAX_BLOCK_BYTES)
        throw storageError('STORAGE_TOO_LARGE', `a block has at most ${MAX_BLOCK_BYTES} bytes`);
      return putBlock(bytes, codec, pin, signal);
    },
    getBlock: async (cid, { signal } = {}) => readBlock(parseCid(cid), signal),
    async pin(cid, { signal } = {}) {
      const parsed = parseCid(cid);
      await call(signal, (callSignal) => blocks.pin(parsed, callSignal));
    },
    async unpin(cid, { signal } = {}) {
      const parsed = parseCid(cid);
      await unlessNotPinned(
        call(signal, async (callSignal) => (await open()).pin.rm(parsed, { signal: callSignal })),
      );
    },
    async isPinned(cid, { signal } = {}) {
      const paths = parseCid(cid);
      const found = await unlessNotPinned(
        call(signal, async (callSignal) => {
          const kubo = await open();
          for await (const _ of kubo.pin.ls({ paths, type: 'recursive', signal: callSignal }))
            return true;
          return false;
        }),
      );
      return found ?? false;
    },
    close: async () => blocks.close(),
  };
}

function expectSame(computed: string, answered: CID): void {
  if (answered.toV1().toString() === computed) return;
  throw storageError(
    'STORAGE_CORRUPT',
    `storage answered ${answered.toString()} for content that is ${computed}`,
  );
}

/** Why the source itself failed, if it did: that, not the aborted upload, is what to report. */
async function sourceFailure(local: Promise<BlobRef>): Promise<unknown> {
  return local.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** Kubo answers an error where something is not pinned; to us that is an answer. */
async function unlessNotPinned<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof Error && /is not pinned|not pinned or pinned/.test(error.message))
      return undefined;
    throw error;
  }
}
