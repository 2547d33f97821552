import { noise, describeBlobStore } from './blob-store.conformance.ts';
import { parseCid } from './cids.ts';
import { createMemoryBlobStore } from './memory-blob-store.ts';

const keyOf = (cid: string) => Buffer.from(parseCid(cid).multihash.bytes).toString('hex');

describeBlobStore('memory', async () => {
  const store = createMemoryBlobStore();
  return {
    store,
    corrupt: async (cid) => {
      const bytes = (store.blocks.get(keyOf(cid)) as Uint8Array).slice();
      bytes[0] = (bytes[0] as number) ^ 1;
      store.blocks.set(keyOf(cid), bytes);
    },
    lose: async (cid) => void store.blocks.delete(keyOf(cid)),
    close: () => store.close(),
  };
});

describe('createMemoryBlobStore', () => {
  it('refuses what does not fit, and keeps what did', async () => {
    const store = createMemoryBlobStore({ capacityBytes: 1000 });
    const { cid } = await store.put(noise(600));
    await expect(store.put(noise(600, 2))).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    expect(await store.getBlock(cid)).toHaveLength(600);
  });

  it('is not changed by a caller who changes the bytes it put or got', async () => {
    const store = createMemoryBlobStore();
    const bytes = noise(10);
    const { cid } = await store.putBlock(bytes);
    bytes.fill(0);
    (await store.getBlock(cid)).fill(0);
    expect(await store.getBlock(cid)).toEqual(noise(10));
  });
});
