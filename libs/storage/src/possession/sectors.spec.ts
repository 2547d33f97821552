import { decodeWith, encodeWith, isSeeleError, type Bytes } from '#libs/kernel';
import { createLogTree } from '#libs/merkle';
import fc from 'fast-check';

import { noise } from '../blob-store.conformance.ts';
import {
  blockOfSector,
  challengedSectors,
  challengeSeed,
  commitSectors,
  proveSector,
  SECTOR_BYTES,
  sectorCount,
  sectorProof,
  verifySector,
  type SectorTree,
} from './sectors.ts';

const MIB = 1024 * 1024;
const blockAt = (content: Bytes, index: number) =>
  content.subarray(blockOfSector(index) * MIB, (blockOfSector(index) + 1) * MIB);
const prove = (tree: SectorTree, content: Bytes, index: number) =>
  proveSector(tree, index, blockAt(content, index));

describe('sector commitments', () => {
  it.each([1, 1023, 1024, 1025, 5000, MIB, MIB + 1, 2 * MIB, 3 * MIB + 70_001])(
    'of %d bytes have the root of the RFC 9162 log of the sectors',
    async (length) => {
      const content = noise(length, length);
      const log = createLogTree();
      for (let at = 0; at < length; at += SECTOR_BYTES)
        log.append(content.subarray(at, at + SECTOR_BYTES));
      const tree = await commitSectors(content);
      expect(tree.root).toBe(log.root());
      expect(tree.sizeBytes).toBe(length);
      for (const index of new Set([0, 1, 1023, 1024, sectorCount(length) - 1])) {
        if (index >= sectorCount(length)) continue;
        const proof = prove(tree, content, index);
        expect(verifySector(tree, index, proof)).toBe(true);
        expect(decodeWith(sectorProof, encodeWith(sectorProof, proof))).toEqual(proof);
      }
    },
  );

  it('are the same however the content arrives; nothing has none', async () => {
    const content = noise(2 * MIB + 9, 4);
    const pieces = (function* () {
      for (let at = 0; at < content.length; at += 70_001) yield content.subarray(at, at + 70_001);
    })();
    expect(await commitSectors(pieces)).toEqual(await commitSectors(content));
    await expect(commitSectors(new Uint8Array())).rejects.toMatchObject({
      code: 'STORAGE_MALFORMED',
    });
  });
});

describe('sector proofs', () => {
  const content = noise(MIB + 300_000, 6);
  let tree: SectorTree;
  beforeAll(async () => {
    tree = await commitSectors(content);
  });

  it('cannot be made from a damaged block, nor for a sector that is not there', () => {
    const damaged = blockAt(content, 5).slice();
    damaged[MIB - 1] = (damaged[MIB - 1] as number) ^ 1;
    expect(() => proveSector(tree, 5, damaged)).toThrow(/not the bytes of block 0/);
    expect(() => proveSector(tree, 5, damaged.subarray(0, 0))).toThrow(/not the bytes/);
    expect(() => prove(tree, content, sectorCount(content.length))).toThrow(/has no sector/);
  });

  it('are refused for another sector, length or root, and with any part changed', () => {
    const last = sectorCount(content.length) - 1;
    const input = fc.record({
      index: fc.nat(last),
      at: fc.nat(10_000),
      what: fc.constantFrom('sector', 'path', 'shorter', 'longer', 'index', 'length', 'root'),
    });
    fc.assert(
      fc.property(input, ({ index, at, what }) => {
        const proof = prove(tree, content, index);
        expect(verifySector(tree, index, proof)).toBe(true);
        const flip = (hash: string) => (hash.startsWith('0') ? '1' : '0') + hash.slice(1);
        const sector = proof.sector.slice();
        sector[at % sector.length] = (sector[at % sector.length] as number) ^ 1;
        const path = proof.path.map((hash, i) =>
          i === at % proof.path.length ? flip(hash) : hash,
        );
        const forged = {
          sector: () => verifySector(tree, index, { ...proof, sector }),
          path: () => verifySector(tree, index, { ...proof, path }),
          shorter: () => verifySector(tree, index, { ...proof, path: proof.path.slice(1) }),
          longer: () => verifySector(tree, index, { ...proof, path: [...proof.path, tree.root] }),
          index: () => verifySector(tree, index === 0 ? 1 : index - 1, proof),
          length: () => verifySector({ ...tree, sizeBytes: tree.sizeBytes * 4 }, index, proof),
          root: () => verifySector({ ...tree, root: flip(tree.root) }, index, proof),
        };
        expect(forged[what]()).toBe(false);
      }),
      { numRuns: 40 },
    );
  });

  it('decode from nothing but themselves', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          decodeWith(sectorProof, bytes);
        } catch (error) {
          if (!isSeeleError(error)) throw error;
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('challenges', () => {
  const seed = challengeSeed('ab'.repeat(32), 'cd'.repeat(32), 7);

  it('follow from block, deal and epoch, within the content', () => {
    const asked = challengedSectors(seed, 5 * MIB, 300);
    expect(asked).toEqual(challengedSectors(seed, 5 * MIB, 300));
    expect(asked.every((index) => index >= 0 && index < 5 * 1024)).toBe(true);
    const other = challengeSeed('ab'.repeat(32), 'cd'.repeat(32), 8);
    expect(challengedSectors(other, 5 * MIB, 300)).not.toEqual(asked);
  });

  it('460 find a loss of one part in a hundred at least 97 times in 100', () => {
    let found = 0;
    for (let epoch = 0; epoch < 200; epoch++) {
      const asked = challengedSectors(
        challengeSeed('00'.repeat(32), '11'.repeat(32), epoch),
        100_000 * SECTOR_BYTES,
        460,
      );
      if (asked.some((index) => index >= 99_000)) found++;
    }
    expect(found).toBeGreaterThanOrEqual(194); // 99.0 % expected
  });
});
