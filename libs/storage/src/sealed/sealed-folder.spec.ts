import { concatBytes, createSeededRandomness, equalBytes, utf8 } from '#libs/kernel';
import type { Bytes } from '#libs/kernel';

import { noise } from '../blob-store.conformance.ts';
import { createMemoryBlobStore } from '../memory-blob-store.ts';
import { openSealed, sealFolder, type SealedFolder } from './sealed-folder.ts';
import {
  createX25519KeyUnwrap,
  createX25519KeyWrap,
  encryptionKeyPairFromSeed,
} from './x25519-key-wrap.ts';

const randomness = createSeededRandomness(3);
const keysOf = (seed: number) => encryptionKeyPairFromSeed(new Uint8Array(32).fill(seed));
const wrapFor = (seed: number) => createX25519KeyWrap(keysOf(seed).publicKey, randomness);
const unwrapOf = (seed: number) => createX25519KeyUnwrap(keysOf(seed).secret);
const [OWNER, ANALYST] = [1, 2] as const;

async function joined(source: AsyncIterable<Bytes>): Promise<Bytes> {
  const parts: Bytes[] = [];
  for await (const part of source) parts.push(part);
  return concatBytes(...parts);
}

const contents = new Map<string, Bytes>([
  ['columns/age.bin', noise(1_200_000, 1)],
  ['columns/patient-name.bin', noise(50_000, 2)],
  ['empty', new Uint8Array()],
  ['columns/icd10.bin', noise(900_000, 3)],
]);

async function sealed() {
  const store = createMemoryBlobStore();
  const files = [...contents].map(([path, bytes]) => ({
    path,
    open: () => bytes,
    ...(path.includes('patient') ? { recipients: [wrapFor(OWNER)] } : {}),
  }));
  const recipients = [wrapFor(OWNER), wrapFor(ANALYST)];
  const { cid } = await sealFolder(store, files, { recipients, randomness });
  const open = async (seed: number) =>
    (await openSealed(store, cid, [unwrapOf(seed)])) as SealedFolder;
  return { store, cid, open };
}

describe('a sealed folder', () => {
  it('gives every file and range of it to its readers', async () => {
    const { open } = await sealed();
    const folder = await open(OWNER);
    expect(folder.kind).toBe('folder');
    expect(folder.files.map(({ path }) => path).toSorted()).toEqual(
      [...contents.keys()].toSorted(),
    );
    for (const [path, bytes] of contents) {
      expect(equalBytes(await joined(folder.read(path)), bytes)).toBe(true);
      const part = await joined(folder.read(path, { offset: 7, length: 900_000 }));
      expect(equalBytes(part, bytes.subarray(7, 900_007))).toBe(true);
      expect(await joined(folder.read(path, { offset: bytes.length + 9 }))).toHaveLength(0);
    }
    await expect(joined(folder.read('columns/none'))).rejects.toMatchObject({
      code: 'STORAGE_NOT_FOUND',
    });
  });

  it('keeps a column with a key of its own from who may read the rest', async () => {
    const { open } = await sealed();
    const folder = await open(ANALYST);
    expect(await joined(folder.read('columns/icd10.bin'))).toHaveLength(900_000);
    await expect(joined(folder.read('columns/patient-name.bin'))).rejects.toMatchObject({
      code: 'STORAGE_SEALED',
    });
  });

  it('shows storage no name', async () => {
    const { store } = await sealed();
    for (const block of store.blocks.values())
      expect(Buffer.from(block).includes('columns/')).toBe(false);
  });

  it.each(['../up', '/root', 'a//b', '', 'a/./b', 'a\\b', 'a\0b', 'x'.repeat(1025)])(
    'refuses the name %j',
    async (path) => {
      const store = createMemoryBlobStore();
      const file = { path, open: () => utf8('x') };
      await expect(
        sealFolder(store, [file], { recipients: [wrapFor(OWNER)], randomness }),
      ).rejects.toMatchObject({ code: 'STORAGE_MALFORMED' });
    },
  );

  it('refuses the same name twice', async () => {
    const file = { path: 'a', open: () => utf8('x') };
    await expect(
      sealFolder(createMemoryBlobStore(), [file, file], {
        recipients: [wrapFor(OWNER)],
        randomness,
      }),
    ).rejects.toMatchObject({ code: 'STORAGE_MALFORMED' });
  });
});
