import fc from 'fast-check';
import { type Bytes, equalBytes } from '#libs/kernel';
import { createMemoryBlobStore } from '#libs/storage';
import { storeShards } from './place.ts';
import { contentOf, createMask, shardSize, shardsTo, stripesFrom, stripesOf } from './shards.ts';

const MIB = 1024 * 1024;
const secret = new Uint8Array(32).fill(7);
const providerOf = (index: number) => index.toString(16).padStart(64, '0');

function noise(length: number, seed: number): Bytes {
  const bytes = new Uint8Array(length);
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}

async function* inParts(bytes: Bytes, size: number): AsyncGenerator<Bytes> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collect(source: AsyncIterable<Bytes>): Promise<Bytes> {
  const parts: Bytes[] = [];
  for await (const part of source) parts.push(part.slice());
  return Buffer.concat(parts);
}

/** All shards, each encrypted for its provider. */
async function cut(content: Bytes, needed: number, shards: number): Promise<readonly Bytes[]> {
  const layout = { needed, shards, sizeBytes: content.length };
  const masks = Array.from({ length: shards }, (_, i) => createMask(secret, i, providerOf(i)));
  return shardsTo(
    stripesOf(inParts(content, 300_007), layout),
    Array.from({ length: shards }, (_, i) => i),
    (index, unit) => (masks[index] as (bytes: Bytes) => Bytes)(unit),
    (_, stream) => collect(stream),
  );
}

function readerOf(shard: Bytes, index: number) {
  const mask = createMask(secret, index, providerOf(index));
  let next = 0;
  return async (offset: number, length: number) => {
    if (offset > next) mask(new Uint8Array(offset - next));
    next = offset + length;
    return mask(shard.subarray(offset, offset + length));
  };
}

describe('content in shards', () => {
  it('comes back from any shards that are enough, whatever its length', async () => {
    const shape = fc.constantFrom([1, 3], [2, 3], [3, 5], [10, 16], [2, 2]);
    const length = fc.oneof(
      fc.integer({ min: 1, max: 40 }),
      fc.constantFrom(MIB, 2 * MIB, 2 * MIB + 1, 3 * MIB - 1),
    );
    await fc.assert(
      fc.asyncProperty(shape, length, fc.nat(), async (given, sizeBytes, seed) => {
        const [needed, shards] = given as [number, number];
        const content = noise(sizeBytes, seed % 1000);
        const layout = { needed, shards, sizeBytes };
        const all = await cut(content, needed, shards);
        for (const shard of all) expect(shard.length).toBe(shardSize(layout));
        const kept = [...all.keys()]
          .sort((a, b) => ((a * 7919 + seed) % 31) - ((b * 7919 + seed) % 31))
          .slice(0, needed);
        const readers = new Map(kept.map((i) => [i, readerOf(all[i] as Bytes, i)]));
        const back = await collect(contentOf(stripesFrom(readers, layout), layout));
        expect(equalBytes(back, content)).toBe(true);
      }),
      { numRuns: 12 },
    );
  });

  it('is read on from other shards when one fails in the middle, and says which', async () => {
    const content = noise(5 * MIB + 5, 3);
    const layout = { needed: 2, shards: 4, sizeBytes: content.length };
    const all = await cut(content, 2, 4);
    const readers = new Map(all.map((shard, i) => [i, readerOf(shard, i)]));
    const whole = readerOf(all[1] as Bytes, 1);
    readers.set(1, (offset, length) =>
      offset === 0 ? whole(offset, length) : Promise.reject(new Error('gone')),
    );
    const lost: number[] = [];
    const stripes = stripesFrom(readers, layout, (index) => lost.push(index));
    expect(equalBytes(await collect(contentOf(stripes, layout)), content)).toBe(true);
    expect(lost).toEqual([1]);
    readers.delete(2);
    readers.delete(3);
    await expect(collect(contentOf(stripesFrom(readers, layout), layout))).rejects.toMatchObject({
      code: 'DEALS_TOO_FEW_SHARDS',
    });
  });

  it('is other bytes with each provider, also where it is a copy', async () => {
    const content = noise(100_000, 5);
    const all = await cut(content, 1, 3);
    for (const [i, one] of all.entries())
      for (const [j, other] of all.entries()) expect(equalBytes(one, other)).toBe(i === j);
    expect(equalBytes(createMask(secret, 1, providerOf(1))(all[1] as Bytes), content)).toBe(true);
    expect(equalBytes(createMask(secret, 1, providerOf(2))(all[1] as Bytes), content)).toBe(false);
  });

  it('stops cleanly when a shard cannot be stored', async () => {
    const content = noise(3 * MIB, 9);
    const blobs = createMemoryBlobStore();
    const layout = { needed: 1, shards: 2, sizeBytes: content.length };
    let puts = 0;
    const failing = {
      ...blobs,
      put: (...args: Parameters<typeof blobs.put>) =>
        ++puts === 2 ? Promise.reject(new Error('disk full')) : blobs.put(...args),
    };
    const wanted = new Map([0, 1].map((i) => [i, providerOf(i)]));
    const stripes = stripesOf(inParts(content, MIB), layout);
    await expect(storeShards(failing, stripes, secret, wanted)).rejects.toThrow('disk full');
    await expect(
      storeShards(blobs, stripesOf(inParts(content.subarray(1), MIB), layout), secret, wanted),
    ).rejects.toMatchObject({ code: 'DEALS_CONTENT_WRONG' });
  });
});
