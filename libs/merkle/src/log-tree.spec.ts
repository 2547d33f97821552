import { type Bytes, concatBytes, hexToBytes } from '#libs/kernel';
import { sha256Hex } from '#libs/crypto';
import fc from 'fast-check';
import { EMPTY_LOG_ROOT, logLeafHash, verifyConsistency, verifyInclusion } from './log-proofs.ts';
import {
  EMPTY_FRONTIER,
  LogTree,
  appendToFrontier,
  createLogTree,
  frontierRoot,
} from './log-tree.ts';

const hex = (text: string): Bytes => hexToBytes(text) as Bytes;

/** The entries and roots of the certificate-transparency reference tests (merkle_tree_test.cc). */
const ENTRIES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map(hex);
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

const reference = new LogTree();
for (const entry of ENTRIES) reference.append(entry);

/** RFC 9162 2.1.1, written as it stands there. */
function naiveRoot(entries: readonly Bytes[]): string {
  if (entries.length === 0) return sha256Hex();
  if (entries.length === 1) return sha256Hex(Uint8Array.of(0), entries[0] as Bytes);
  let k = 1;
  while (k * 2 < entries.length) k *= 2;
  const left = hex(naiveRoot(entries.slice(0, k)));
  const right = hex(naiveRoot(entries.slice(k)));
  return sha256Hex(concatBytes(Uint8Array.of(1), left, right));
}

describe('RFC 6962 reference vectors', () => {
  it('the empty tree has the hash of nothing', () => {
    expect(new LogTree().root()).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
  });

  it.each(ROOTS.map((root, i) => [i + 1, root] as const))('root of size %i', (size, root) => {
    expect(reference.root(size)).toBe(root);
    expect(naiveRoot(ENTRIES.slice(0, size))).toBe(root);
  });

  it('the printed inclusion paths', () => {
    expect(reference.inclusionProof(0, 1)).toEqual([]);
    expect(reference.inclusionProof(0, 8)).toEqual([
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ]);
    expect(reference.inclusionProof(5, 8)).toEqual([
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
    expect(reference.inclusionProof(2, 3)).toEqual([
      'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    ]);
    expect(reference.inclusionProof(1, 5)).toEqual([
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ]);
  });

  it('the printed consistency proofs', () => {
    expect(reference.consistencyProof(1, 1)).toEqual([]);
    expect(reference.consistencyProof(1, 8)).toEqual([
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ]);
    expect(reference.consistencyProof(6, 8)).toEqual([
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
    expect(reference.consistencyProof(2, 5)).toEqual([
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ]);
  });
});

const entriesOf = (size: number): Bytes[] =>
  Array.from({ length: size }, (_, i) => Uint8Array.of(i, i >> 8));

function logOf(size: number): LogTree {
  const tree = new LogTree();
  for (const entry of entriesOf(size)) tree.append(entry);
  return tree;
}

describe('RFC 9162 2.1.3 inclusion', () => {
  it('holds for every entry of every size, and for no other entry, index or size', () => {
    const tree = logOf(40);
    for (let size = 1; size <= 40; size++) {
      expect(tree.root(size)).toBe(naiveRoot(entriesOf(size)));
      for (let index = 0; index < size; index++) {
        const proof = tree.inclusionProof(index, size);
        const leaf = tree.leafHash(index);
        const root = tree.root(size);
        expect(verifyInclusion(leaf, index, size, proof, root)).toBe(true);
        expect(verifyInclusion(leaf, index + 1, size, proof, root)).toBe(false);
        expect(verifyInclusion(logLeafHash(Uint8Array.of(99)), index, size, proof, root)).toBe(
          false,
        );
        expect(verifyInclusion(leaf, index, size, [...proof, root], root)).toBe(false);
        if (proof.length > 0)
          expect(verifyInclusion(leaf, index, size, proof.slice(1), root)).toBe(false);
      }
    }
  });

  it('refuses any changed hash', () => {
    const tree = logOf(100);
    fc.assert(
      fc.property(fc.nat(99), fc.nat(6), (index, at) => {
        const proof = [...tree.inclusionProof(index)];
        fc.pre(at < proof.length);
        proof[at] = EMPTY_LOG_ROOT;
        expect(verifyInclusion(tree.leafHash(index), index, 100, proof, tree.root())).toBe(false);
      }),
    );
  });
});

describe('RFC 9162 2.1.4 consistency', () => {
  it('holds between every two sizes, and not for another root', () => {
    const tree = logOf(34);
    for (let second = 0; second <= 34; second++)
      for (let first = 0; first <= second; first++) {
        const proof = tree.consistencyProof(first, second);
        const [a, b] = [tree.root(first), tree.root(second)];
        expect(verifyConsistency(first, second, a, b, proof)).toBe(true);
        expect(verifyConsistency(first, second, sha256Hex(hex(a)), b, proof)).toBe(false);
        // Every log begins with the empty one; any other beginning binds the second root.
        if (first > 0)
          expect(verifyConsistency(first, second, a, sha256Hex(hex(b)), proof)).toBe(false);
        expect(verifyConsistency(first, second, a, b, [...proof, a])).toBe(false);
        for (let i = 0; i < proof.length; i++)
          expect(verifyConsistency(first, second, a, b, proof.with(i, EMPTY_LOG_ROOT))).toBe(false);
      }
  });

  it('never throws on nonsense', () => {
    const anyProof = fc.array(fc.oneof(fc.string(), fc.constant(EMPTY_LOG_ROOT)), { maxLength: 5 });
    const anyNumber = fc.oneof(fc.nat(9), fc.double(), fc.integer());
    fc.assert(
      fc.property(anyNumber, anyNumber, fc.string(), anyProof, (a, b, root, proof) => {
        expect(verifyConsistency(a, b, root, root, proof)).toBe(false);
        expect(verifyInclusion(root, a, b, proof, root)).toBe(false);
      }),
    );
  });
});

describe('continuing a log', () => {
  it('from its leaf hashes or from its frontier gives the same roots', () => {
    const tree = logOf(77);
    const leaves = entriesOf(77).map(logLeafHash);
    expect(createLogTree(leaves).root()).toBe(tree.root());
    let frontier = EMPTY_FRONTIER;
    for (let size = 0; size < 77; size++) {
      expect(frontier).toEqual(tree.frontier(size));
      expect(frontierRoot(frontier)).toBe(tree.root(size));
      frontier = appendToFrontier(frontier, [leaves[size] as string]);
    }
    expect(appendToFrontier(tree.frontier(50), leaves.slice(50))).toEqual(tree.frontier());
  });

  it('refuses sizes, indexes and frontiers that cannot be', () => {
    const code = (value: string) => expect.objectContaining({ code: value });
    for (const size of [9, -1, 1.5, Number.NaN])
      expect(() => reference.root(size)).toThrow(code('MERKLE_RANGE'));
    expect(() => reference.inclusionProof(3, 3)).toThrow(code('MERKLE_RANGE'));
    expect(() => reference.consistencyProof(5, 4)).toThrow(code('MERKLE_RANGE'));
    expect(() => frontierRoot({ size: 3, hashes: [EMPTY_LOG_ROOT] })).toThrow(
      code('MERKLE_FRONTIER_INVALID'),
    );
  });

  it('hashes entries of any length', () => {
    for (const length of [0, 1, 1023, 1024, 1025, 5000]) {
      const entry = new Uint8Array(length).fill(7);
      const tree = new LogTree();
      tree.append(entry);
      expect(tree.root()).toBe(logLeafHash(entry));
    }
  });
});
