/** A file from one storage process to another, both durable: bulk over HTTP beside bitswap. */
import { pullContent, type BlobStore } from '#libs/storage';

import { startStorage, type StorageProcess } from '../e2e/storage-process.ts';
import { percentile, significant, type BenchFigures } from './harness.ts';

export interface BulkResult {
  readonly figures: BenchFigures;
  /** Why the figures are null. */
  readonly skipped?: string;
}

const BULK_BYTES = 64 * 1024 * 1024;
/** It has been seen to stand still; then it is asked again. */
const MAX_BITSWAP_MS = 8_000;
const MAX_STALLS = 2;
/** A busy machine must not make bitswap give a block up. */
const PATIENT = {
  SEELE_STORAGE_FETCH_TIMEOUT_MS: '120000',
  SEELE_STORAGE_IDLE_TIMEOUT_MS: '600000',
};

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

/**
 * Every round other content, and the two ways take turns in being first. Over bitswap the receiver
 * pins (which fetches what is missing, eight blocks at a time); over HTTP it pulls and pins.
 */
export async function bulkFigures(
  open: (storage: StorageProcess) => BlobStore,
  content: (length: number, seed: number) => Buffer,
  { rounds, seed }: { readonly rounds: number; readonly seed: number },
): Promise<BulkResult> {
  const from = await startStorage({ env: { SEELE_STORAGE_GATEWAY: '127.0.0.1:0' } });
  const overBitswap = await connected(from);
  const overHttp = await startStorage({ env: { SEELE_STORAGE_SWARM: 'off' } });
  const source = open(from);
  let started = 0;
  let bitswapStalls = 0;
  const samples = { bitswap: [] as number[], http: [] as number[] };
  try {
    for (let round = 0; round <= rounds; round++) {
      const { cid } = await source.put(content(BULK_BYTES, seed + 1000 + round));
      const ways = {
        bitswap: async () => {
          for (;;)
            try {
              const signal = AbortSignal.timeout(MAX_BITSWAP_MS);
              return void (await overBitswap.client.pin.add(cid as never, { signal }));
            } catch (error) {
              if (bitswapStalls === MAX_STALLS) throw error;
              bitswapStalls++;
              started = performance.now(); // what came stays: the stall is not held against it
            }
        },
        http: async () =>
          void (await pullContent(cid, {
            url: overHttp.url,
            token: overHttp.token,
            source: from.gateway,
          })),
      };
      const order = ['bitswap', 'http'] as const;
      for (const way of round % 2 === 0 ? order : order.toReversed()) {
        started = performance.now();
        await ways[way]();
        if (round > 0) samples[way].push((performance.now() - started) / 1000);
      }
    }
    const rate = (seconds: readonly number[]) => BULK_BYTES / 1e6 / percentile(seconds, 0.5);
    return {
      figures: {
        bulkVsBitswap: significant(rate(samples.http) / rate(samples.bitswap), 3),
        bulkMegabytesPerSecond: significant(rate(samples.http), 3),
        bitswapMegabytesPerSecond: significant(rate(samples.bitswap), 3),
        bitswapStalls,
      },
    };
  } catch (error) {
    return { figures: { bulkVsBitswap: null }, skipped: String(error) };
  } finally {
    await source.close();
    await Promise.all([from.discard(), overBitswap.discard(), overHttp.discard()]);
  }
}
