/** What every `BlobStore` adapter must do. Each adapter's spec calls `describeBlobStore`. */
import { concatBytes, equalBytes, utf8, type Bytes } from '#libs/kernel';

import type { BlobStore } from './blob-store.ts';
import { blobRef } from './file-writer.ts';
import { readBlob } from './read-blob.ts';

export interface BlobStoreUnderTest {
  readonly store: BlobStore;
  /** Changes one byte of a stored block behind the adapter's back. */
  corrupt(cid: string): Promise<void>;
  /** Loses a stored block behind the adapter's back. */
  lose(cid: string): Promise<void>;
  close(): Promise<void>;
}

/** Bytes that do not repeat within a block, from a seed. */
export function noise(length: number, seed = 1): Bytes {
  const out = new Uint8Array(length);
  let state = seed * 2_654_435_761 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = state;
  }
  return out;
}

async function* inChunks(bytes: Bytes, size: number): AsyncGenerator<Bytes> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const MIB = 1024 * 1024;
const ABSENT = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

export function describeBlobStore(name: string, open: () => Promise<BlobStoreUnderTest>): void {
  describe(`BlobStore: ${name}`, () => {
    let tested: BlobStoreUnderTest;
    let store: BlobStore;
    beforeAll(async () => {
      tested = await open();
      store = tested.store;
    }, 60_000);
    afterAll(() => tested?.close());

    it.each([
      ['nothing', 0],
      ['one byte', 1],
      ['one leaf', MIB],
      ['one byte more than a leaf', MIB + 1],
      ['several leaves', 3 * MIB + 12_345],
    ])('gives back %s, under the CID of the profile', async (_, length) => {
      const bytes = noise(length, length + 7);
      const stored = await store.put(bytes);
      expect(stored).toEqual({ cid: (await blobRef(bytes)).cid, sizeBytes: length });
      expect(equalBytes(await readBlob(store, stored.cid, { maxBytes: length }), bytes)).toBe(true);
    });

    it('gives the same CID whether content comes whole, in chunks, small or large', async () => {
      for (const length of [0, 10, MIB, 2 * MIB + 5]) {
        const bytes = noise(length, 3);
        const whole = await store.put(bytes);
        expect(await store.put(inChunks(bytes, 70_001))).toEqual(whole);
      }
    });

    it('names known content by its known CID', async () => {
      const { cid } = await store.put(utf8('hello world'));
      expect(cid).toBe('bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e');
    });

    it('reads ranges, across leaves and past the end', async () => {
      const bytes = noise(2 * MIB + 100, 9);
      const { cid } = await store.put(bytes);
      const ranges: [number, number][] = [
        [0, 0],
        [0, 1],
        [MIB - 3, 6],
        [2 * MIB, 100],
        [2 * MIB + 99, 50],
        [5 * MIB, 5],
      ];
      for (const [offset, length] of ranges) {
        const got = await readBlob(store, cid, { maxBytes: 3 * MIB, offset, length });
        expect(equalBytes(got, bytes.subarray(offset, offset + length))).toBe(true);
      }
    });

    it('refuses content over maxBytes before its first byte', async () => {
      const { cid } = await store.put(noise(MIB + 10, 4));
      const seen: Bytes[] = [];
      const read = (async () => {
        for await (const part of store.get(cid, { maxBytes: MIB })) seen.push(part);
      })();
      await expect(read).rejects.toMatchObject({ code: 'STORAGE_TOO_LARGE' });
      expect(seen).toEqual([]);
      for (const source of [noise(2 * MIB, 5), inChunks(noise(2 * MIB, 5), 65_536)])
        await expect(store.put(source, { maxBytes: MIB })).rejects.toMatchObject({
          code: 'STORAGE_TOO_LARGE',
        });
    });

    it('reports the failure of a source, and stores nothing under its name', async () => {
      async function* failing(): AsyncGenerator<Bytes> {
        yield noise(MIB + 3, 6);
        throw new Error('the disk I read from broke');
      }
      await expect(store.put(failing())).rejects.toThrow('the disk I read from broke');
    });

    it('stores single blocks of every codec', async () => {
      const bytes = new Uint8Array([0xa0]); // the empty map in dag-cbor
      const { cid } = await store.putBlock(bytes, { codec: 'dag-cbor' });
      expect(cid).toMatch(/^bafyrei/);
      expect(await store.getBlock(cid)).toEqual(bytes);
      await expect(readBlob(store, cid, { maxBytes: 9 })).rejects.toMatchObject({
        code: 'STORAGE_MALFORMED',
      });
      await expect(store.putBlock(noise(2 * MIB + 1))).rejects.toMatchObject({
        code: 'STORAGE_TOO_LARGE',
      });
    });

    it('pins by default, and pinning and unpinning are idempotent', async () => {
      const { cid } = await store.put(utf8('pin me'));
      expect(await store.isPinned(cid)).toBe(true);
      await store.unpin(cid);
      await store.unpin(cid);
      expect(await store.isPinned(cid)).toBe(false);
      await store.pin(cid);
      await store.pin(cid);
      expect(await store.isPinned(cid)).toBe(true);
      const loose = await store.put(utf8('do not pin me'), { pin: false });
      expect(await store.isPinned(loose.cid)).toBe(false);
      const long = await store.put(noise(2 * MIB, 31), { pin: false });
      expect(await store.isPinned(long.cid)).toBe(false);
      await store.pin(long.cid);
      expect(await store.isPinned(long.cid)).toBe(true);
    });

    it('never gives bytes that are not what the CID names', async () => {
      const bytes = noise(2 * MIB, 11);
      const { cid } = await store.put(bytes);
      const leaf = (await blobRef(bytes.subarray(MIB))).cid;
      await tested.corrupt(leaf);
      const parts: Bytes[] = [];
      const read = (async () => {
        for await (const part of store.get(cid)) parts.push(part);
      })();
      await expect(read).rejects.toMatchObject({ name: 'SeeleError' });
      const got = concatBytes(...parts);
      expect(equalBytes(got, bytes.subarray(0, got.length))).toBe(true);
      expect(got.length).toBeLessThanOrEqual(MIB);
      await expect(store.getBlock(leaf)).rejects.toMatchObject({ name: 'SeeleError' });
    });

    it('says what is not there', async () => {
      for (const call of [
        readBlob(store, ABSENT, { maxBytes: 10 }),
        store.getBlock(ABSENT),
        store.pin(ABSENT),
      ])
        await expect(call).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND' });
      const { cid } = await store.put(utf8('here, then gone'));
      await tested.lose(cid);
      await expect(store.getBlock(cid)).rejects.toMatchObject({ code: 'STORAGE_NOT_FOUND' });
    });

    it.each(['', 'hello', '../../etc/passwd', 'bafy', `bafk${'a'.repeat(400)}`])(
      'refuses %j as a CID',
      async (cid) => {
        for (const call of [
          readBlob(store, cid, { maxBytes: 10 }),
          store.getBlock(cid),
          store.pin(cid),
          store.unpin(cid),
          store.isPinned(cid),
        ])
          await expect(call).rejects.toMatchObject({ code: 'STORAGE_CID_INVALID' });
      },
    );

    it('stops when its caller aborts', async () => {
      const aborted = AbortSignal.abort();
      await expect(store.put(utf8('x'), { signal: aborted })).rejects.toMatchObject({
        name: 'AbortError',
      });
    });
  });
}
