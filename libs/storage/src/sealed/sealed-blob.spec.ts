import { concatBytes, createSeededRandomness, equalBytes, isSeeleError, utf8 } from '#libs/kernel';
import type { Bytes } from '#libs/kernel';
import fc from 'fast-check';

import { noise } from '../blob-store.conformance.ts';
import type { BlobStore, GetOptions } from '../blob-store.ts';
import { parseCid } from '../cids.ts';
import { LEAF_BYTES } from '../file-writer.ts';
import { createMemoryBlobStore } from '../memory-blob-store.ts';
import { readBlob } from '../read-blob.ts';
import { openChunks, SEALED_CHUNK_BYTES, sealChunks } from './chunk-cipher.ts';
import { contentCommitment, isContentCommitment } from './commitment.ts';
import { decodeEnvelope } from './envelope.ts';
import { sealBlob, type SealedBlob } from './sealed-blob.ts';
import { openSealed } from './sealed-folder.ts';
import {
  createX25519KeyUnwrap,
  createX25519KeyWrap,
  encryptionKeyPairFromSeed,
} from './x25519-key-wrap.ts';

const randomness = createSeededRandomness(7);
const person = (seed: number) => {
  const { publicKey, secret } = encryptionKeyPairFromSeed(new Uint8Array(32).fill(seed));
  return {
    wrap: createX25519KeyWrap(publicKey, randomness),
    unwrap: createX25519KeyUnwrap(secret),
  };
};
const [alice, bob, eve] = [person(1), person(2), person(3)] as [
  ReturnType<typeof person>,
  ReturnType<typeof person>,
  ReturnType<typeof person>,
];
const recipients = [alice.wrap, bob.wrap];

async function joined(source: AsyncIterable<Bytes>): Promise<Bytes> {
  const parts: Bytes[] = [];
  for await (const part of source) parts.push(part);
  return concatBytes(...parts);
}
const openBlob = async (store: BlobStore, cid: string, reader = alice) =>
  (await openSealed(store, cid, [reader.unwrap])) as SealedBlob;

describe('sealed content', () => {
  it.each([0, 1, SEALED_CHUNK_BYTES - 1, SEALED_CHUNK_BYTES, SEALED_CHUNK_BYTES + 1, 2_500_000])(
    'of %d bytes opens for each of its readers, and for nobody else',
    async (length) => {
      const store = createMemoryBlobStore();
      const bytes = noise(length, length + 1);
      const { cid, sizeBytes } = await sealBlob(store, bytes, { recipients, randomness });
      expect(sizeBytes).toBe(length);
      for (const reader of [alice, bob]) {
        const blob = await openBlob(store, cid, reader);
        expect(equalBytes(await joined(blob.read()), bytes)).toBe(true);
      }
      await expect(openBlob(store, cid, eve)).rejects.toMatchObject({ code: 'STORAGE_SEALED' });
    },
  );

  it('fills leaves exactly, and is kept by the pin on its envelope', async () => {
    const store = createMemoryBlobStore();
    const bytes = noise(3 * SEALED_CHUNK_BYTES, 5);
    const { cid, content } = await sealBlob(store, bytes, { recipients, randomness });
    const lengths = [...store.blocks.values()].map((block) => block.length);
    expect(lengths.filter((length) => length === LEAF_BYTES)).toHaveLength(3);
    expect(await store.isPinned(cid)).toBe(true);
    expect(decodeEnvelope(await store.getBlock(cid)).content).toBe(content);
    expect(parseCid(cid).code).toBe(0x71);
  });

  it('shows nothing: neither content nor that two are equal', async () => {
    const store = createMemoryBlobStore();
    const secret = utf8('a sentence that must not be found in any block');
    const [first, second] = [
      await sealBlob(store, secret, { recipients, randomness }),
      await sealBlob(store, secret, { recipients, randomness }),
    ];
    expect(first.content).not.toBe(second.content);
    for (const block of store.blocks.values())
      expect(Buffer.from(block).includes(Buffer.from(secret))).toBe(false);
  });

  it('reads any range, by its own chunks only', async () => {
    const store = createMemoryBlobStore();
    const bytes = noise(2 * SEALED_CHUNK_BYTES + 1000, 9);
    const { cid } = await sealBlob(store, bytes, { recipients, randomness });
    const asked: GetOptions[] = [];
    const watched: BlobStore = {
      ...store,
      get(id, options) {
        asked.push(options ?? {});
        return store.get(id, options);
      },
    };
    const blob = await openBlob(watched, cid);
    await joined(blob.read({ offset: SEALED_CHUNK_BYTES + 5, length: 3 }));
    expect(asked.at(-1)).toMatchObject({ offset: LEAF_BYTES, length: LEAF_BYTES });
    const edge = fc.oneof(
      fc.nat(bytes.length + 100),
      fc.constantFrom(0, SEALED_CHUNK_BYTES - 1, SEALED_CHUNK_BYTES, 2 * SEALED_CHUNK_BYTES),
    );
    await fc.assert(
      fc.asyncProperty(edge, edge, async (offset, length) => {
        const got = await joined(blob.read({ offset, length }));
        return equalBytes(got, bytes.subarray(offset, offset + length));
      }),
      { numRuns: 30 },
    );
  });

  it('refuses content over maxBytes, when sealed and when read', async () => {
    const store = createMemoryBlobStore();
    const limited = { recipients, randomness, maxBytes: 10 };
    const tooLarge = { code: 'STORAGE_TOO_LARGE' };
    await expect(sealBlob(store, noise(11), limited)).rejects.toMatchObject(tooLarge);
    const { cid } = await sealBlob(store, noise(11), { recipients, randomness });
    const blob = await openBlob(store, cid);
    await expect(joined(blob.read({ maxBytes: 10 }))).rejects.toMatchObject(tooLarge);
  });

  it('needs a recipient', async () => {
    const store = createMemoryBlobStore();
    await expect(sealBlob(store, noise(1), { recipients: [], randomness })).rejects.toMatchObject({
      code: 'STORAGE_KEY_INVALID',
    });
  });

  it('its envelope cannot be changed: another content, context or length opens for nobody', async () => {
    const store = createMemoryBlobStore();
    const options = { recipients, randomness, context: 'chain://a/b@1' };
    const { cid } = await sealBlob(store, noise(100), options);
    const other = await sealBlob(store, noise(100, 2), options);
    expect((await openBlob(store, cid)).context).toBe('chain://a/b@1');
    const block = Buffer.from(await store.getBlock(cid));
    const changes: [Bytes, Bytes][] = [
      [utf8('chain://a/b@1'), utf8('chain://a/b@2')],
      [parseCid(decodeEnvelope(block).content).bytes, parseCid(other.content).bytes],
      [Uint8Array.of(0x18, 100), Uint8Array.of(0x18, 99)],
    ];
    for (const [from, to] of changes) {
      const forged = Buffer.from(block);
      const at = forged.indexOf(Buffer.from(from));
      expect(at).toBeGreaterThan(0);
      forged.set(to, at);
      const { cid: forgedCid } = await store.putBlock(forged, { codec: 'dag-cbor' });
      await expect(openBlob(store, forgedCid)).rejects.toMatchObject({ code: 'STORAGE_SEALED' });
    }
  });

  it('an envelope that is noise, or somebody’s other block, is a clear error', async () => {
    const store = createMemoryBlobStore();
    const good = await store.getBlock(
      (await sealBlob(store, noise(5), { recipients, randomness })).cid,
    );
    const mutated = fc
      .tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }))
      .map(([at, flip]) => {
        const out = good.slice();
        out[at] = (out[at] as number) ^ flip;
        return out;
      });
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), async (bytes) => {
        const { cid } = await store.putBlock(bytes, { codec: 'dag-cbor' });
        try {
          const blob = await openBlob(store, cid, bob);
          await joined(blob.read());
        } catch (error) {
          if (!isSeeleError(error)) throw error;
        }
      }),
      { numRuns: 100 },
    );
    const { cid } = await store.put(noise(5));
    await expect(openBlob(store, cid)).rejects.toMatchObject({ code: 'STORAGE_MALFORMED' });
  });
});

describe('sealed chunks (STREAM)', () => {
  const key = { key: noise(32, 4), aad: utf8('x') };
  const length = 3 * SEALED_CHUNK_BYTES + 77;
  const plain = noise(length, 8);
  let leaves: Bytes[];
  beforeAll(async () => {
    const sealed = await joined(sealChunks(plain, key, () => {}));
    leaves = [0, 1, 2, 3].map((i) => sealed.subarray(i * LEAF_BYTES, (i + 1) * LEAF_BYTES));
  });
  const open = (chunks: Bytes[], sizeBytes = length, by = key) =>
    joined(
      openChunks(
        (async function* () {
          yield* chunks;
        })(),
        by,
        { sizeBytes, first: 0, end: Math.ceil(sizeBytes / SEALED_CHUNK_BYTES) },
      ),
    );
  const at = (index: number) => leaves[index] as Bytes;

  it('are the same, however the content arrives', async () => {
    const short = plain.subarray(0, SEALED_CHUNK_BYTES + 9000);
    const whole = await joined(sealChunks(short, key, () => {}));
    for (const size of [97, 5000, 70_001, SEALED_CHUNK_BYTES]) {
      const pieces = (function* () {
        for (let i = 0; i < short.length; i += size) yield short.subarray(i, i + size);
      })();
      expect(equalBytes(await joined(sealChunks(pieces, key, () => {})), whole)).toBe(true);
    }
  });

  it('open in order', async () => expect(equalBytes(await open(leaves), plain)).toBe(true));

  it.each<[string, () => Promise<unknown>]>([
    ['reordered', () => open([at(1), at(0), at(2), at(3)])],
    ['repeated', () => open([at(0), at(0), at(2), at(3)])],
    ['cut at a chunk', () => open([at(0), at(1), at(2)])],
    [
      'cut at a chunk, with the length that fits',
      () => open([at(0), at(1)], 2 * SEALED_CHUNK_BYTES),
    ],
    ['cut inside a chunk', () => open([at(0), at(1), at(2), at(3).subarray(1)])],
    ['empty', () => open([])],
    ['continued after the end', () => open([...leaves, at(3)])],
    ['left out', () => open([at(1), at(2), at(3)])],
    ['under another key', () => open(leaves, length, { ...key, key: noise(32, 5) })],
    ['under another context', () => open(leaves, length, { ...key, aad: utf8('y') })],
    ['declared shorter', () => open(leaves, length - 1)],
  ])('do not open when %s', async (_, run) =>
    expect(run()).rejects.toMatchObject({ code: 'STORAGE_SEAL_BROKEN' }),
  );

  it('do not open with a chunk from elsewhere, of the same place and length', async () => {
    const foreign = await joined(sealChunks(plain, { ...key, key: noise(32, 6) }, () => {}));
    const chunk = foreign.subarray(LEAF_BYTES, 2 * LEAF_BYTES);
    await expect(open([at(0), chunk, at(2), at(3)])).rejects.toMatchObject({
      code: 'STORAGE_SEAL_BROKEN',
    });
  });

  it('do not open with a changed byte, wherever it is', async () => {
    const short = await joined(sealChunks(utf8('secret'), key, () => {}));
    for (let i = 0; i < short.length; i++) {
      const changed = short.slice();
      changed[i] = (changed[i] as number) ^ 0x80;
      await expect(open([changed], 6)).rejects.toMatchObject({ code: 'STORAGE_SEAL_BROKEN' });
    }
    expect(await open([short], 6)).toEqual(utf8('secret'));
  });
});

describe('a commitment to a private CID', () => {
  it('fits its CID and salt, and no other', async () => {
    const store = createMemoryBlobStore();
    const [a, b] = [await store.put(utf8('a')), await store.put(utf8('b'))];
    const commitment = contentCommitment(a.cid, noise(32));
    expect(isContentCommitment(commitment, a.cid, noise(32))).toBe(true);
    expect(isContentCommitment(commitment, b.cid, noise(32))).toBe(false);
    expect(isContentCommitment(commitment, a.cid, noise(32, 2))).toBe(false);
    expect(await readBlob(store, a.cid, { maxBytes: 1 })).toEqual(utf8('a'));
  });
});
