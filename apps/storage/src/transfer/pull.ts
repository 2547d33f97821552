/**
 * Content from another storage over HTTP, block by block verified. The other side is not trusted: it
 * is asked for a CID, and only blocks that this CID or a verified block above them names are taken.
 * What was received is kept; a pull that broke off goes on where it stopped, also in a new process.
 */
import { Agent, get, type IncomingMessage } from 'node:http';
import { Agent as TlsAgent, get as tlsGet } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';

import { isSeeleError, type Bytes } from '#libs/kernel';
import { RAW_CODE, readFileNode, storageError, verifyBlock } from '#libs/storage';
import type { CID } from 'multiformats/cid';

import { readCar } from '../dag/car.ts';
import { unixfsNode } from '../dag/directories.ts';
import { linksOf } from '../dag/links.ts';
import type { Session } from '../node.ts';
import type { DurableBlockstore } from '../store/durable-blockstore.ts';

export interface PullOptions {
  readonly store: DurableBlockstore;
  readonly session: Session;
  /** Address of a trustless gateway, without `/ipfs`. */
  readonly source: URL;
  readonly signal: AbortSignal;
  /** A source that says nothing for so long is asked again. */
  readonly idleTimeoutMs: number;
  /** Told after every block that was stored. */
  readonly progress: (totals: PullTotals) => Promise<void>;
}

export interface PullTotals {
  readonly blocks: number;
  readonly bytes: number;
  readonly requests: number;
}

/** Waits before asking again; as many times without any progress, then it fails. */
const RETRY_DELAYS_MS = [50, 250, 1_000, 4_000];
const MAX_ROOT_BYTES = 2 * 1024 * 1024;

const isFinal = (error: unknown): boolean =>
  isSeeleError(error) && error.code !== 'STORAGE_UNAVAILABLE' && error.code !== 'STORAGE_BUSY';

/** Stores everything that a root reaches and is not here yet. */
export async function pull(root: CID, options: PullOptions): Promise<PullTotals> {
  const { store, session, source, signal, idleTimeoutMs, progress } = options;
  const isTls = source.protocol === 'https:';
  const agent = isTls ? new TlsAgent({ keepAlive: true }) : new Agent({ keepAlive: true });
  let totals: PullTotals = { blocks: 0, bytes: 0, requests: 0 };

  async function request(cid: CID, query: string): Promise<IncomingMessage> {
    totals = { ...totals, requests: totals.requests + 1 };
    const address = `${source.href.replace(/\/+$/, '')}/ipfs/${cid.toString()}?${query}`;
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const call = (isTls ? tlsGet : get)(
        address,
        { agent, signal, timeout: idleTimeoutMs },
        resolve,
      );
      call.on('timeout', () => call.destroy(new Error('the source fell silent')));
      call.on('error', reject);
    });
    if (answer.statusCode === 200) return answer;
    answer.destroy();
    const what = `${source.host} answers ${answer.statusCode ?? 0} for ${cid.toString()}`;
    if (answer.statusCode === 404) throw storageError('STORAGE_NOT_FOUND', what);
    throw storageError(
      (answer.statusCode ?? 0) >= 500 ? 'STORAGE_UNAVAILABLE' : 'STORAGE_FAILED',
      what,
    );
  }

  async function keep(cid: CID, bytes: Bytes): Promise<void> {
    await session.put(cid, bytes);
    totals = { ...totals, blocks: totals.blocks + 1, bytes: totals.bytes + bytes.length };
    await progress(totals);
  }

  /** Tries again as long as something moves. `mark` tells how far it is. */
  async function persistently<T>(attempt: () => Promise<T>, mark: () => unknown): Promise<T> {
    for (let failures = 0, before = mark(); ;) {
      try {
        return await attempt();
      } catch (error) {
        signal.throwIfAborted();
        if (mark() !== before) [failures, before] = [0, mark()];
        const wait = RETRY_DELAYS_MS[failures++];
        if (isFinal(error)) throw error;
        if (wait === undefined)
          throw storageError('STORAGE_UNAVAILABLE', `${source.host}: ${String(error)}`, {
            cause: error,
          });
        await delay(wait, undefined, { signal });
      }
    }
  }

  async function fetchBlock(cid: CID): Promise<Bytes> {
    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of await request(cid, 'format=raw')) {
      length += (part as Buffer).length;
      if (length > MAX_ROOT_BYTES)
        throw storageError('STORAGE_TOO_LARGE', `${source.host} sends more than a block`);
      parts.push(part as Buffer);
    }
    return verifyBlock(cid, Buffer.concat(parts, length));
  }

  /** The first byte of a file whose block is not here; undefined when all are. */
  async function firstMissing(
    cid: CID,
    position: number,
    whole: Set<string>,
  ): Promise<number | undefined> {
    const key = cid.toString();
    if (whole.has(key)) return undefined; // a file may repeat a part as often as it likes
    if (cid.code === RAW_CODE) {
      if (!(await store.has(cid))) return position;
    } else {
      const bytes = await store.read(cid);
      if (bytes === undefined) return position;
      const node = readFileNode(cid, bytes);
      let at = position + node.data.length;
      for (const child of node.children) {
        const missing = await firstMissing(child.cid, at, whole);
        if (missing !== undefined) return missing;
        at += child.sizeBytes;
      }
    }
    whole.add(key);
    return undefined;
  }

  async function streamFile(root: CID, from: number): Promise<void> {
    const answer = await request(root, `format=car&dag-scope=entity&entity-bytes=${from}:*`);
    const { blocks } = await readCar(answer);
    const wanted = new Set([root.toString()]);
    for await (const { cid, bytes } of blocks) {
      const key = cid.toString();
      if (!wanted.delete(key)) {
        answer.destroy();
        throw storageError(
          'STORAGE_MALFORMED',
          `${source.host} sent ${key}, which nobody asked for`,
        );
      }
      for (const child of readFileNode(cid, bytes).children) wanted.add(child.cid.toString());
      await keep(cid, bytes);
    }
  }

  async function pullFile(cid: CID): Promise<void> {
    let at: number | undefined;
    await persistently(
      async () => {
        at = await firstMissing(cid, 0, new Set());
        if (at === undefined) return;
        try {
          await streamFile(cid, at);
        } finally {
          await session.commit(); // what came is kept, also when the rest did not
        }
        at = await firstMissing(cid, 0, new Set());
        if (at !== undefined) throw new Error(`the source ended before byte ${at}`);
      },
      () => totals.blocks,
    );
  }

  try {
    const seen = new Set<string>();
    const stack = [root];
    for (let cid = stack.pop(); cid !== undefined; cid = stack.pop()) {
      if (seen.has(cid.toString())) continue;
      seen.add(cid.toString());
      if (cid.code === RAW_CODE && (await store.has(cid))) continue;
      const target = cid;
      let bytes = await store.read(target);
      if (bytes === undefined) {
        bytes = await persistently(
          () => fetchBlock(target),
          () => totals.blocks,
        );
        await keep(target, bytes);
        await session.commit();
      }
      if (target.code === RAW_CODE) continue;
      if (unixfsNode(target, bytes).kind === 'file') await pullFile(target);
      else stack.push(...linksOf(target, bytes).reverse());
    }
    return totals;
  } finally {
    agent.destroy();
  }
}
