import fc from 'fast-check';
import { utf8 } from '#libs/kernel';
import {
  logRootOf,
  logRootOfHashes,
  proveInclusions,
  verifyInclusions,
} from './log-multi-proof.ts';
import { EMPTY_LOG_ROOT, logLeafHash } from './log-proofs.ts';
import { LogTree } from './log-tree.ts';

const entries = (size: number) =>
  Array.from({ length: size }, (_, i) => utf8(`entry ${'+'.repeat(i % 9)}${i}`));
const hashes = (size: number): string[] => entries(size).map((entry) => logLeafHash(entry));
const logAndChoice = fc
  .integer({ min: 0, max: 70 })
  .chain((size) =>
    fc.tuple(fc.constant(size), fc.subarray(Array.from({ length: size }, (_, i) => i))),
  );

describe('a proof of many entries', () => {
  it('has the root of the RFC 9162 log', () => {
    for (const size of [0, 1, 2, 3, 7, 8, 9, 64, 70]) {
      const log = new LogTree();
      for (const entry of entries(size)) log.append(entry);
      expect(logRootOfHashes(hashes(size))).toBe(log.root());
      expect(logRootOf(entries(size))).toBe(log.root());
    }
    expect(logRootOfHashes([])).toBe(EMPTY_LOG_ROOT);
  });

  it('proves every choice of entries, and no other entries, places, sizes or roots', () => {
    fc.assert(
      fc.property(logAndChoice, fc.nat(), ([size, indices], which) => {
        const all = hashes(size);
        const root = logRootOfHashes(all);
        const proof = proveInclusions(all, indices);
        const disclosed = { indices, leafHashes: indices.map((i) => all[i] as string) };
        expect(verifyInclusions(disclosed, size, proof, root)).toBe(true);
        expect(verifyInclusions(disclosed, size, proof, 'ab'.repeat(32))).toBe(false);
        expect(verifyInclusions(disclosed, size, [...proof, root], root)).toBe(false);
        if (proof.length > 0)
          expect(verifyInclusions(disclosed, size, proof.slice(1), root)).toBe(false);
        if (indices.length === 0) return;
        const at = which % indices.length;
        const forged = disclosed.leafHashes.with(at, logLeafHash(utf8('forged')));
        expect(verifyInclusions({ indices, leafHashes: forged }, size, proof, root)).toBe(false);
        const moved = indices.with(at, ((indices[at] as number) + 1) % size);
        if (size > 1)
          expect(verifyInclusions({ ...disclosed, indices: moved }, size, proof, root)).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it('needs at most a path for one entry, and nothing for all', () => {
    const all = hashes(1_000);
    expect(proveInclusions(all, [500]).length).toBeLessThanOrEqual(10);
    expect(proveInclusions(all, [...all.keys()])).toEqual([]);
  });

  it('refuses indices that do not rise or lie outside, and survives hostile sizes', () => {
    const all = hashes(4);
    for (const indices of [[1, 1], [2, 1], [4], [-1], [0.5]])
      expect(() => proveInclusions(all, indices)).toThrow(
        expect.objectContaining({ code: 'MERKLE_RANGE' }),
      );
    for (const size of [-1, 1.5, Number.NaN, 2 ** 40])
      expect(verifyInclusions({ indices: [], leafHashes: [] }, size, [], 'ab'.repeat(32))).toBe(
        false,
      );
    const one = { indices: [0], leafHashes: [all[0] as string] };
    expect(verifyInclusions(one, 4, ['not a hash'], 'ab'.repeat(32))).toBe(false);
  });
});
