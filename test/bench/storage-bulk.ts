/** A file from one storage process to another, both durable: bulk over HTTP beside bitswap. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pullContent, type BlobStore } from '#libs/storage';

import { startStorage, type StorageProcess } from '../e2e/storage-process.ts';
import { percentile, significant, type BenchFigures } from './harness.ts';

export interface BulkResult {
  readonly figures: BenchFigures;
  /** Why the figures are null. */
  readonly skipped?: string;
}

const BULK_BYTES = 64 * 1024 * 1024;
/**
 * Bitswap has been seen to stand still: whoever sends gives a message up after ten seconds and does not
 * repeat it, whoever waits does not ask again. No new block for so long is such a stall.
 */
const STALL_MS = 6_000;
const LOOK_EVERY_MS = 500;
/** Rounds that stall are tried again, so many times as rounds are wanted. */
const TRIES_PER_ROUND = 2;
/** A busy machine must not make bitswap give a block up. */
const PATIENT = {
  SEELE_STORAGE_FETCH_TIMEOUT_MS: '120000',
  SEELE_STORAGE_IDLE_TIMEOUT_MS: '600000',
};

type Content = (length: number, seed: number) => Buffer;
type OpenStore = (storage: StorageProcess) => BlobStore;

async function connected(from: StorageProcess): Promise<StorageProcess> {
  const to = await startStorage({ env: PATIENT });
  const { addresses } = await from.client.id();
  const address = addresses.map(String).find((text) => text.includes('/tcp/'));
  if (address === undefined) throw new Error('the storage process has no address for peers');
  await to.client.swarm.connect(address as never);
  // Bitswap does not repeat what it asked of a peer that had not introduced itself yet.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return to;
}

/** How many blocks a storage process has, seen from outside so that it is not kept from its work. */
async function blocksOf({ home }: StorageProcess): Promise<number> {
  const names = await readdir(join(home, 'storage', 'blocks'), { recursive: true });
  return names.filter((name) => name.endsWith('.block')).length;
}

/** Pins, which fetches what is missing, eight blocks at a time; false when it stood still. */
async function overBitswap(to: StorageProcess, cid: string): Promise<boolean> {
  const stalled = new AbortController();
  let blocks = -1;
  let atMs = performance.now();
  const look = setInterval(async () => {
    const now = await blocksOf(to).catch(() => blocks);
    if (now !== blocks) [blocks, atMs] = [now, performance.now()];
    else if (performance.now() - atMs > STALL_MS) stalled.abort();
  }, LOOK_EVERY_MS);
  try {
    await to.client.pin.add(cid as never, { signal: stalled.signal });
    return true;
  } catch (error) {
    if (!stalled.signal.aborted) throw error;
    return false;
  } finally {
    clearInterval(look);
  }
}

interface Bulk {
  readonly from: StorageProcess;
  readonly source: BlobStore;
  readonly byBitswap: StorageProcess;
  readonly byHttp: StorageProcess;
}

/** Seconds of both ways, or undefined when bitswap stood still. */
async function oneRound(
  { from, source, byBitswap, byHttp }: Bulk,
  bytes: Buffer,
  isBitswapFirst: boolean,
): Promise<{ readonly bitswap: number; readonly http: number } | undefined> {
  const { cid } = await source.put(bytes);
  const took = { bitswap: NaN, http: NaN };
  const bitswap = async () => {
    const began = performance.now();
    if (await overBitswap(byBitswap, cid)) took.bitswap = (performance.now() - began) / 1000;
  };
  const http = async () => {
    const began = performance.now();
    const { url, token } = byHttp;
    await pullContent(cid, { url, token, source: from.gateway });
    took.http = (performance.now() - began) / 1000;
  };
  for (const go of isBitswapFirst ? [bitswap, http] : [http, bitswap]) await go();
  return Number.isNaN(took.bitswap) ? undefined : took;
}

/**
 * Every round other content, and the two ways take turns in being first. A round in which bitswap stood
 * still counts for neither, and is counted apart: its waiting is not held against bitswap. Its receiver
 * is replaced then, since what hangs between the two would slow the next round, and the first round of
 * a receiver is not counted either.
 */
export async function bulkFigures(
  open: OpenStore,
  content: Content,
  { rounds, seed }: { readonly rounds: number; readonly seed: number },
): Promise<BulkResult> {
  const from = await startStorage({ env: { SEELE_STORAGE_GATEWAY: '127.0.0.1:0' } });
  let byBitswap = await connected(from);
  const byHttp = await startStorage({ env: { SEELE_STORAGE_SWARM: 'off' } });
  const source = open(from);
  const ended: { readonly bitswap: number; readonly http: number }[] = [];
  let bitswapStalls = 0;
  let isCold = true;
  try {
    for (
      let round = 0;
      ended.length < rounds && bitswapStalls < TRIES_PER_ROUND * rounds;
      round++
    ) {
      const bytes = content(BULK_BYTES, seed + 1000 + round);
      const took = await oneRound({ from, source, byBitswap, byHttp }, bytes, round % 2 === 0);
      if (took === undefined) {
        bitswapStalls++;
        await byBitswap.discard();
        byBitswap = await connected(from);
      } else if (!isCold) ended.push(took);
      isCold = took === undefined;
    }
    const counted = { bitswapRounds: ended.length, bitswapStalls };
    if (ended.length === 0)
      return {
        figures: { bulkVsBitswap: null, ...counted },
        skipped: `bitswap stood still in all ${bitswapStalls} rounds`,
      };
    const median = (way: 'bitswap' | 'http') =>
      percentile(
        ended.map((one) => one[way]),
        0.5,
      );
    const rate = (seconds: number) => BULK_BYTES / 1e6 / seconds;
    return {
      figures: {
        bulkVsBitswap: significant(median('bitswap') / median('http'), 3),
        bulkMegabytesPerSecond: significant(rate(median('http')), 3),
        bitswapMegabytesPerSecond: significant(rate(median('bitswap')), 3),
        ...counted,
      },
    };
  } catch (error) {
    return { figures: { bulkVsBitswap: null }, skipped: String(error) };
  } finally {
    await source.close();
    await Promise.all([from.discard(), byBitswap.discard(), byHttp.discard()]);
  }
}
