import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CID } from 'multiformats/cid';
import { type BlobStore, collectGarbage, createKuboBlobStore, readBlob } from '#libs/storage';
import { noise } from '../../libs/storage/src/blob-store.conformance.ts';
import { startStorage } from './storage-process.ts';

const MIB = 1024 * 1024;
const GRACE_MS = 300;
const ROUNDS = 9;
const PLACES = ['storage.collect.before', 'storage.collect.during', 'storage.collect.after'];

describe('SIGKILL of the storage process in the midst of a collection while content is added', () => {
  it('loses nothing that was acknowledged, and leaves nothing that no pin needs', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'seele-collect-'));
    const points = join(folder, 'armed');
    const env = {
      ...{ SEELE_STORAGE_GC_GRACE_MS: String(GRACE_MS), SEELE_STORAGE_SWARM: 'off' },
      SEELE_FAILPOINTS_FILE: points,
    };
    let storage = await startStorage({ env });
    const { home } = storage;
    const kept = new Map<string, number>();
    let struck = 0;
    let seed = 1;
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const endpoint = { url: storage.url, token: storage.token };
        const store = createKuboBlobStore(endpoint);
        let isOver = false;
        const writing = Array.from({ length: 3 }, async (_, writer) => {
          while (!isOver) {
            const mine = seed++;
            // Files of several blocks, of which every third is garbage at once, every third later.
            const bytes = noise(writer === 0 ? 3_000 : MIB + mine, mine);
            const isPinned = mine % 3 > 0;
            const done = await store.put(bytes, { pin: isPinned }).catch(() => undefined);
            if (done === undefined || !isPinned) continue;
            if (mine % 3 === 1) kept.set(done.cid, mine);
            else await store.unpin(done.cid).catch(() => undefined);
          }
        });
        await sleep(2 * GRACE_MS);
        writeFileSync(points, `${PLACES[round % PLACES.length]}=kill@${1 + (round % 4)}`);
        const deadline = performance.now() + 15_000;
        // Collections one after another, until one dies.
        while (existsSync(points) && performance.now() < deadline)
          await collectGarbage(endpoint).catch(() => undefined);
        if (!existsSync(points)) struck++;
        rmSync(points, { force: true });
        await storage.kill();
        isOver = true;
        await Promise.all(writing);
        await store.close();
        storage = await startStorage({ home, env });
      }
      const store = createKuboBlobStore({ url: storage.url, token: storage.token });
      await sleep(2 * GRACE_MS);
      await collectGarbage({ url: storage.url, token: storage.token });
      await expectKept(store, kept);
      expect(await strayBlocks(storage.client)).toEqual([]);
      expect(struck).toBeGreaterThanOrEqual(ROUNDS - 1);
      expect(kept.size).toBeGreaterThan(ROUNDS);
      await store.close();
    } finally {
      await storage.discard();
      rmSync(folder, { recursive: true, force: true });
    }
  }, 300_000);
});

async function expectKept(store: BlobStore, kept: ReadonlyMap<string, number>): Promise<void> {
  for (const [cid, seed] of kept) {
    const bytes = await readBlob(store, cid, { maxBytes: 4 * MIB });
    expect(Buffer.from(bytes).equals(noise(bytes.length, seed))).toBe(true);
    expect(await store.isPinned(cid)).toBe(true);
  }
}

/** Blocks on the disk that nothing pinned reaches. */
async function strayBlocks(
  client: Awaited<ReturnType<typeof startStorage>>['client'],
): Promise<string[]> {
  const hashOf = (cid: { toV1(): { multihash: { bytes: Uint8Array } } }) =>
    Buffer.from(cid.toV1().multihash.bytes).toString('hex');
  const reached = new Set<string>();
  for await (const { cid } of client.pin.ls()) reached.add(hashOf(cid));
  const stray: string[] = [];
  for await (const { ref } of client.refs.local()) {
    const hash = hashOf(CID.parse(ref));
    if (!reached.has(hash)) stray.push(ref);
  }
  return stray;
}
