/**
 * Storage: content through the Kubo RPC of the storage process beside Helia in this process, on the
 * same kind of blockstore (files, synced before they count), alternating within one run. Small blobs
 * as the order path uses them, through `BlobStore`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createKuboBlobStore, kuboAddProfile, type BlobStore } from '#libs/storage';
import { unixfs } from '@helia/unixfs';
import { createHeliaLight } from 'helia';

import { openDurableBlockstore } from '../../apps/storage/src/store/durable-blockstore.ts';
import { startStorage, type StorageProcess } from '../e2e/storage-process.ts';
import { percentile, significant, type Bench } from './harness.ts';
import { bulkFigures } from './storage-bulk.ts';
import { erasureFigures } from './storage-erasure.ts';
import { memoryFigures } from './storage-memory.ts';
import { proofFigures } from './storage-proof.ts';
import { sealedFigures } from './storage-sealed.ts';

const MIB = 1024 * 1024;
const CONTENT_BYTES = 100_000_000;
const SMALL_BYTES = [1_000, 100_000, 1_000_000] as const;
const SMALL_TRIES = 40;

/** Incompressible bytes, different in every MiB and every round. */
function content(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  const words = new Uint32Array(bytes.buffer, 0, length >>> 2);
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return bytes;
}

async function* inChunks(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += MIB) yield bytes.subarray(at, at + MIB);
}

async function seconds(run: () => Promise<void>): Promise<number> {
  const before = performance.now();
  await run();
  return (performance.now() - before) / 1000;
}

async function drain(source: AsyncIterable<Uint8Array>): Promise<void> {
  let length = 0;
  for await (const chunk of source) length += chunk.length;
  if (length !== CONTENT_BYTES) throw new Error(`read ${length} bytes`);
}

interface Rival {
  add(bytes: Buffer): Promise<string>;
  cat(cid: string): AsyncIterable<Uint8Array>;
}

function overRpc({ client }: StorageProcess): Rival {
  const options = { ...kuboAddProfile } as Parameters<typeof client.add>[1];
  return {
    add: async (bytes) => (await client.add(inChunks(bytes), options)).cid.toString(),
    cat: (cid) => client.cat(cid),
  };
}

async function inProcess(folder: string): Promise<Rival & { stop(): Promise<void> }> {
  const blockstore = await openDurableBlockstore(folder);
  const helia = createHeliaLight({ blockstore });
  await helia.start();
  const files = unixfs(helia);
  return {
    async add(bytes) {
      const cid = await files.addByteStream(inChunks(bytes), { profile: 'unixfs-v1-2025' });
      await blockstore.sync();
      return cid.toString();
    },
    async *cat(cid) {
      const { CID } = await import('multiformats/cid');
      yield* files.cat(CID.parse(cid), { blockReadConcurrency: 8 } as object);
    },
    stop: async () => void (await helia.stop()),
  };
}

const openStore = ({ url, token }: StorageProcess) => createKuboBlobStore({ url, token });

interface Samples {
  readonly add: number[];
  readonly cat: number[];
}

async function measure(rival: Rival, bytes: Buffer, into: Samples): Promise<string> {
  let cid = '';
  into.add.push(await seconds(async () => void (cid = await rival.add(bytes))));
  into.cat.push(await seconds(() => drain(rival.cat(cid))));
  return cid;
}

async function smallBlobs(store: BlobStore, seed: number) {
  const figures: Record<
    string,
    { putMsP50: number; putMsP95: number; getMsP50: number; getMsP95: number }
  > = {};
  await store.put(content(8, seed)); // the client loads lazily
  for (const size of SMALL_BYTES) {
    const put: number[] = [];
    const get: number[] = [];
    for (let i = 0; i < SMALL_TRIES; i++) {
      const bytes = content(size, seed + 7919 * (i + size));
      let cid = '';
      put.push(1000 * (await seconds(async () => void (cid = (await store.put(bytes)).cid))));
      get.push(
        1000 *
          (await seconds(async () => {
            for await (const _ of store.get(cid));
          })),
      );
    }
    figures[String(size)] = {
      putMsP50: significant(percentile(put, 0.5), 3),
      putMsP95: significant(percentile(put, 0.95), 3),
      getMsP50: significant(percentile(get, 0.5), 3),
      getMsP95: significant(percentile(get, 0.95), 3),
    };
  }
  return figures;
}

export const bench: Bench = async ({ full, seed, note }) => {
  const rounds = full ? 11 : 5;
  const folder = await mkdtemp(join(tmpdir(), 'seele-bench-storage-'));
  const storage = await startStorage({ env: { SEELE_STORAGE_SWARM: 'off' } });
  const helia = await inProcess(folder);
  const rpc = overRpc(storage);
  const rpcSamples: Samples = { add: [], cat: [] };
  const heliaSamples: Samples = { add: [], cat: [] };
  try {
    for (let round = 0; round <= rounds; round++) {
      const bytes = content(CONTENT_BYTES, seed + round);
      const isWarmUp = round === 0;
      const scratch: Samples = { add: [], cat: [] };
      // Who goes first changes with every round.
      const order = [
        () => measure(rpc, bytes, isWarmUp ? scratch : rpcSamples),
        () => measure(helia, bytes, isWarmUp ? scratch : heliaSamples),
      ];
      const cids = new Set<string>();
      for (const go of round % 2 === 0 ? order : order.toReversed()) cids.add(await go());
      if (cids.size !== 1) throw new Error('the two sides name the same content differently');
      note(`round ${round} of ${rounds}`);
    }
    const store = openStore(storage);
    const small = await smallBlobs(store, seed);
    note('bulk transfer');
    const bulk = await bulkFigures(openStore, content, { rounds: full ? 7 : 3, seed });
    const memory = await memoryFigures(openStore, content, { full, seed });
    const rate = (samples: readonly number[]) => CONTENT_BYTES / 1e6 / percentile(samples, 0.5);
    return {
      figures: {
        addVsHelia: significant(rate(rpcSamples.add) / rate(heliaSamples.add), 3),
        catVsHelia: significant(rate(rpcSamples.cat) / rate(heliaSamples.cat), 3),
        addMegabytesPerSecond: significant(rate(rpcSamples.add), 3),
        catMegabytesPerSecond: significant(rate(rpcSamples.cat), 3),
        heliaAddMegabytesPerSecond: significant(rate(heliaSamples.add), 3),
        heliaCatMegabytesPerSecond: significant(rate(heliaSamples.cat), 3),
        rounds,
        smallBlobs: small,
        ...(await sealedFigures(store, content(CONTENT_BYTES, seed), {
          rounds: full ? 15 : 9,
          pid: storage.pid,
        })),
        ...bulk.figures,
        ...memory.figures,
        ...erasureFigures(content, seed),
        ...(await proofFigures(content, { seed, full })),
      },
      skipped: {
        ...(bulk.skipped === undefined ? {} : { bulkVsBitswap: bulk.skipped }),
        ...(memory.skipped === undefined ? {} : { residentMbAt1Gb: memory.skipped }),
      },
    };
  } finally {
    await helia.stop();
    await storage.discard();
    await rm(folder, { recursive: true, force: true });
  }
};
