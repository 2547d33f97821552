import fc from 'fast-check';
import { type Bytes, bytesToHex, compareBytes } from '#libs/kernel';
import { sha256 } from '#libs/crypto';
import {
  type StateRange,
  readStateRange,
  stateRangeMaxBytes,
  verifyStateRange,
} from './state-range.ts';
import { EMPTY_STATE_ROOT } from './state-proof.ts';
import { createStateTree } from './state-tree.ts';

const PREFIX = Uint8Array.of(7);
const ZERO = new Uint8Array(32);

function treeOf(keys: readonly Bytes[]) {
  const nodes = new Map<string, Bytes>();
  const reader = { get: (key: Bytes) => nodes.get(bytesToHex(key)) };
  const tree = createStateTree({ reader, keyPrefix: PREFIX });
  for (const key of keys) tree.update(key, sha256(key));
  const { root, writes } = tree.commit();
  for (const { key, value } of writes) if (value) nodes.set(bytesToHex(key), value);
  return { root, read: (from: Bytes, max: number) => readStateRange(reader, PREFIX, from, max) };
}
/** Keys that share long beginnings as often as not. */
const keyOf = fc.oneof(
  fc.uint8Array({ minLength: 32, maxLength: 32 }),
  fc.tuple(fc.integer({ min: 0, max: 31 }), fc.nat(255)).map(([at, value]) => {
    const key = new Uint8Array(32).fill(0x55);
    key[at] = value;
    return key;
  }),
);
const keysOf = fc.uniqueArray(keyOf, { maxLength: 60, selector: bytesToHex });
const sorted = (keys: readonly Bytes[]) => [...keys].sort(compareBytes);
const hexes = (range: StateRange | undefined) => range?.leaves.map(({ key }) => bytesToHex(key));

describe('state ranges', () => {
  it('give every leaf once, in order, piece by piece, whatever the size of the pieces', () => {
    fc.assert(
      fc.property(keysOf, fc.integer({ min: 1, max: 20 }), (keys, max) => {
        const { root, read } = treeOf(keys);
        const found: string[] = [];
        let from: Bytes | undefined = ZERO;
        for (let turn = 0; from && turn < 200; turn++) {
          const bytes = read(from, max);
          expect(bytes.length).toBeLessThanOrEqual(stateRangeMaxBytes(max));
          const range = verifyStateRange(root, from, bytes);
          expect(range?.leaves.length).toBeLessThanOrEqual(max);
          for (const { key, valueHash } of range?.leaves ?? [])
            expect(valueHash).toEqual(sha256(key));
          found.push(...(hexes(range) as string[]));
          from = range?.next;
        }
        expect(found).toEqual(sorted(keys).map(bytesToHex));
      }),
      { numRuns: 60 },
    );
  });

  it('from any key on hold exactly the leaves up to where the rest begins', () => {
    fc.assert(
      fc.property(
        keysOf.filter((keys) => keys.length > 0),
        keyOf,
        fc.integer({ min: 1, max: 8 }),
        (keys, from, max) => {
          const { root, read } = treeOf(keys);
          const range = verifyStateRange(root, from, read(from, max));
          expect(range).toBeDefined();
          const expected = sorted(keys).filter(
            (key) =>
              compareBytes(key, from) >= 0 && (!range?.next || compareBytes(key, range.next) < 0),
          );
          expect(hexes(range)).toEqual(expected.map(bytesToHex));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('of the empty tree are empty', () => {
    const { read, root } = treeOf([]);
    expect(root).toBe(EMPTY_STATE_ROOT);
    expect(verifyStateRange(root, ZERO, read(ZERO, 5))).toEqual({ leaves: [] });
    expect(verifyStateRange('11'.repeat(32), ZERO, new Uint8Array())).toBeUndefined();
  });

  it('prove nothing under another root, from an earlier key, or changed, cut or lengthened', () => {
    const keys = Array.from({ length: 50 }, (_, i) => sha256(Uint8Array.of(i)));
    const { root, read } = treeOf(keys);
    const [, , third] = sorted(keys) as [Bytes, Bytes, Bytes];
    const bytes = read(third, 10);
    expect(hexes(verifyStateRange(root, third, bytes))).toHaveLength(10);
    expect(verifyStateRange(treeOf(keys.slice(1)).root, third, bytes)).toBeUndefined();
    // The proof begins at the third leaf: from the beginning it would leave two out.
    expect(verifyStateRange(root, ZERO, bytes)).toBeUndefined();
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = bytes.slice();
        changed[at] = (changed[at] as number) ^ flip;
        expect(verifyStateRange(root, third, changed)).toBeUndefined();
        expect(verifyStateRange(root, third, bytes.slice(0, at))).toBeUndefined();
      }),
      { numRuns: 100 },
    );
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    expect(verifyStateRange(root, third, longer)).toBeUndefined();
  });

  it('never let a leaf in the range be hidden behind a hash', () => {
    // Whatever is cut out of an honest range, it proves at most a shorter one.
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 6 }),
        fc.nat(15),
        (a, b, start) => {
          const keys = Array.from({ length: 16 }, (_, i) => sha256(Uint8Array.of(i, 1)));
          const { root, read } = treeOf(keys);
          const from = sorted(keys)[start] as Bytes;
          // Bytes of a range that begins later or ends earlier, offered for this one.
          for (const bytes of [
            read(from, a),
            read(sorted(keys)[Math.min(15, start + b)] as Bytes, a),
          ]) {
            const range = verifyStateRange(root, from, bytes);
            if (!range) continue;
            const expected = sorted(keys).filter(
              (key) =>
                compareBytes(key, from) >= 0 && (!range.next || compareBytes(key, range.next) < 0),
            );
            expect(hexes(range)).toEqual(expected.map(bytesToHex));
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it('of random bytes prove nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), keyOf, (bytes, from) => {
        expect(verifyStateRange('11'.repeat(32), from, bytes)).toBeUndefined();
      }),
      { numRuns: 100 },
    );
  });
});
