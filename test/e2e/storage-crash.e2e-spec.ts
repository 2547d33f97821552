import { createKuboBlobStore } from '#libs/storage';

import { noise } from '../../libs/storage/src/blob-store.conformance.ts';
import { startStorage } from './storage-process.ts';

const MIB = 1024 * 1024;

async function joined(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

describe('SIGKILL of the storage process', () => {
  it('during adds: what was acknowledged is whole and pinned, nothing else is served', async () => {
    let storage = await startStorage();
    const { home } = storage;
    const acknowledged: { cid: string; seed: number }[] = [];
    let tried = 0;
    for (let round = 0; round < 3; round++) {
      const store = createKuboBlobStore({ url: storage.url, token: storage.token });
      let dead = false;
      const writers = Array.from({ length: 4 }, async (_, writer) => {
        for (let i = 0; !dead; i++) {
          const seed = 1 + round * 1000 + writer * 100 + i;
          tried++;
          // Small blobs, and files of several blocks, so that the kill falls into both.
          const stored = store.put(noise(writer % 2 === 0 ? 5_000 : 2 * MIB + seed, seed));
          const cid = await stored.then(
            (ref) => ref.cid,
            () => undefined,
          );
          if (cid !== undefined) acknowledged.push({ cid, seed });
        }
      });
      const enough = acknowledged.length + 10;
      while (acknowledged.length < enough) await new Promise((resolve) => setTimeout(resolve, 3));
      await storage.kill();
      dead = true;
      await Promise.all(writers);
      storage = await startStorage({ home });
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(30);
    expect(tried).toBeGreaterThan(acknowledged.length);
    const store = createKuboBlobStore({ url: storage.url, token: storage.token });
    for (const { cid, seed } of acknowledged) {
      const got = await joined(store.get(cid));
      expect(got.equals(noise(got.length, seed))).toBe(true);
      expect(await store.isPinned(cid)).toBe(true);
    }
    // Every block that is there is whole: its hash is checked on the way out.
    let blocks = 0;
    for await (const { ref } of storage.client.refs.local()) {
      await store.getBlock(ref);
      blocks++;
    }
    expect(blocks).toBeGreaterThanOrEqual(acknowledged.length);
    await storage.discard();
  });

  it('ends with SIGTERM within 5 s even in the middle of an upload', async () => {
    const storage = await startStorage();
    let isOver = false; // fetch goes on reading the source of an upload that was refused
    async function* endless() {
      while (!isOver) {
        yield noise(1000);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    const upload = storage.client.add(endless()).then(
      () => 'added',
      () => 'refused',
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    const before = Date.now();
    expect(await storage.stop()).toBe(0);
    expect(Date.now() - before).toBeLessThan(5_000);
    expect(await upload).toBe('refused');
    isOver = true;
    await storage.discard();
  });
});
