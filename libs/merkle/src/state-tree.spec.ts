import {
  type Bytes,
  type KeyValueWrite,
  bytesToHex,
  concatBytes,
  isSeeleError,
} from '#libs/kernel';
import { sha256 as independentSha256 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { writeText } from './byte-text.ts';
import {
  EMPTY_STATE_ROOT,
  type StateProof,
  bitAt,
  decodeStateProof,
  encodeStateProof,
  verifyStateProof,
} from './state-proof.ts';
import { type StateTree, createStateTree } from './state-tree.ts';

/** A store in memory that, like a real one, holds copies. */
function memoryStore() {
  const nodes = new Map<string, Bytes>();
  return {
    nodes,
    get: (key: Bytes) => nodes.get(bytesToHex(key)),
    apply(writes: readonly KeyValueWrite[]) {
      for (const { key, value } of writes)
        if (value) nodes.set(bytesToHex(key), value.slice());
        else nodes.delete(bytesToHex(key));
    },
  };
}

describe('bytes as text', () => {
  it('are written alike into small arrays, large ones and views, whatever their length', () => {
    const text = Array.from({ length: 256 }, (_, i) => String.fromCharCode(255 - i)).join('');
    for (const sizeBytes of [64, 65, 300])
      for (const length of [0, 1, 15, 16, 32, 60]) {
        const out = new Uint8Array(sizeBytes + 3).fill(7).subarray(3);
        expect(writeText(text.slice(0, length), out, 2)).toBe(2 + length);
        const expected = new Uint8Array(sizeBytes).fill(7);
        for (let i = 0; i < length; i++) expected[2 + i] = 255 - i;
        expect(out).toEqual(expected);
      }
  });
});

type Contents = ReadonlyMap<string, Bytes>;

/** The definition, straight from the sorted keys, with another SHA-256. */
function naiveRoot(keys: readonly Bytes[], contents: Contents): Bytes {
  if (keys.length === 0) return new Uint8Array(32);
  const first = keys[0] as Bytes;
  if (keys.length === 1)
    return independentSha256(
      concatBytes(Uint8Array.of(0), first, contents.get(bytesToHex(first)) as Bytes),
    );
  let depth = 0;
  while (keys.every((key) => bitAt(key, depth) === bitAt(first, depth))) depth++;
  const side = (bit: number) =>
    naiveRoot(
      keys.filter((key) => bitAt(key, depth) === bit),
      contents,
    );
  return independentSha256(concatBytes(Uint8Array.of(1, depth), side(0), side(1)));
}

const rootOf = (contents: Contents): string =>
  bytesToHex(
    naiveRoot(
      [...contents.keys()].map((k) => Uint8Array.from(Buffer.from(k, 'hex'))),
      contents,
    ),
  );

/** Keys that collide in long prefixes as well as keys that part early. */
const anyKey = fc
  .tuple(fc.constantFrom(0, 1, 0x80, 0xff), fc.constantFrom(0, 1, 2), fc.nat(7))
  .map(([head, middle, tail]) => {
    const key = new Uint8Array(32);
    key[0] = head;
    key[15] = middle;
    key[31] = tail;
    return key;
  });
const anyValue = fc.nat(3).map((n) => new Uint8Array(32).fill(n + 1));
const anyChange = fc.tuple(anyKey, fc.option(anyValue, { nil: null, freq: 2 }));
const anyBatches = fc.array(fc.array(anyChange, { maxLength: 12 }), { maxLength: 6 });

type Batches = readonly (readonly (readonly [Bytes, Bytes | null])[])[];

function applyBatch(tree: StateTree, contents: Map<string, Bytes>, batch: Batches[number]): void {
  for (const [key, value] of batch) {
    tree.update(key, value);
    if (value) contents.set(bytesToHex(key), value);
    else contents.delete(bytesToHex(key));
  }
}

/** Runs batches against a tree and the model; calls `check` after each commit. */
function run(
  batches: Batches,
  maxCachedNodes: number,
  check?: (tree: StateTree, contents: Contents) => void,
) {
  const store = memoryStore();
  const contents = new Map<string, Bytes>();
  const tree = createStateTree({ reader: store, maxCachedNodes });
  for (const batch of batches) {
    applyBatch(tree, contents, batch);
    const { root, writes } = tree.commit();
    store.apply(writes);
    expect(root).toBe(rootOf(contents));
    check?.(tree, contents);
  }
  return { store, contents, tree };
}

describe('state tree', () => {
  it('has after every batch the root that its contents define', () => {
    fc.assert(
      fc.property(anyBatches, fc.constantFrom(0, 3, 1000), (batches, cache) => {
        run(batches, cache);
      }),
      { numRuns: 100 },
    );
  });

  it('stores exactly the nodes of its contents, whatever the history', () => {
    fc.assert(
      fc.property(anyBatches, (batches) => {
        const { store, contents } = run(batches, 1000);
        const fresh = memoryStore();
        const tree = createStateTree({ reader: fresh });
        for (const [key, value] of contents)
          tree.update(Uint8Array.from(Buffer.from(key, 'hex')), value);
        fresh.apply(tree.commit().writes);
        expect(store.nodes).toEqual(fresh.nodes);
      }),
      { numRuns: 60 },
    );
  });

  it('comes back to the exact earlier root when what was added is deleted', () => {
    fc.assert(
      fc.property(anyBatches, fc.array(anyChange, { maxLength: 10 }), (batches, extra) => {
        const { tree, store, contents } = run(batches, 1000);
        const before = tree.root;
        for (const [key] of extra) tree.update(key, new Uint8Array(32).fill(9));
        store.apply(tree.commit().writes);
        for (const [key] of extra) tree.update(key, contents.get(bytesToHex(key)) ?? null);
        expect(tree.commit().root).toBe(before);
      }),
      { numRuns: 60 },
    );
  });

  it('goes on from the store after a restart', () => {
    fc.assert(
      fc.property(anyBatches, fc.array(anyChange, { maxLength: 10 }), (batches, more) => {
        const { store, contents, tree } = run(batches, 1000);
        const reopened = createStateTree({ reader: store });
        expect(reopened.root).toBe(tree.root);
        applyBatch(reopened, contents, more);
        expect(reopened.commit().root).toBe(rootOf(contents));
      }),
      { numRuns: 60 },
    );
  });

  it('writes nothing when nothing changes, and forgets discarded changes', () => {
    const { tree, store } = run([[[new Uint8Array(32), new Uint8Array(32).fill(1)]]], 10);
    tree.update(new Uint8Array(32), new Uint8Array(32).fill(1));
    expect(tree.commit().writes).toEqual([]);
    tree.update(new Uint8Array(32), null);
    tree.discard();
    expect(tree.commit().writes).toEqual([]);
    tree.update(new Uint8Array(32), null);
    const { root, writes } = tree.commit();
    store.apply(writes);
    expect(root).toBe(EMPTY_STATE_ROOT);
    expect(store.nodes.size).toBe(0);
  });

  it('keeps its nodes in memory below the cap between batches', () => {
    const store = memoryStore();
    const tree = createStateTree({ reader: store, maxCachedNodes: 64 });
    for (let i = 0; i < 600; i++) {
      tree.update(independentSha256(Uint8Array.of(i, i >> 8)), new Uint8Array(32).fill(1));
      if (i % 10 !== 9) continue;
      store.apply(tree.commit().writes);
      expect(tree.cachedNodes).toBeLessThanOrEqual(64 + 10 * 12);
    }
    for (let i = 0; i < 600; i++) {
      tree.prove(independentSha256(Uint8Array.of(i, i >> 8)));
      expect(tree.cachedNodes).toBeLessThanOrEqual(64 + 10 * 12);
    }
  });

  it('says so when a stored node is damaged, cut off or missing', () => {
    const { store } = run(
      [
        Array.from({ length: 20 }, (_, i) => [
          independentSha256(Uint8Array.of(i)),
          new Uint8Array(32),
        ]),
      ],
      1000,
    );
    for (const [address, value] of store.nodes) {
      for (const damaged of [
        undefined,
        value.slice(1),
        value.map((b, i) => (i === 40 ? b ^ 1 : b)),
      ]) {
        const reader = {
          get: (key: Bytes) => (bytesToHex(key) === address ? damaged : store.get(key)),
        };
        const probe = () => {
          const tree = createStateTree({ reader });
          for (let i = 0; i < 20; i++) tree.prove(independentSha256(Uint8Array.of(i)));
          return tree.root;
        };
        if (address === '') continue; // The root record is checked against the block header.
        expect(probe).toThrow(expect.objectContaining({ code: 'MERKLE_NODE_CORRUPT' }));
      }
    }
  });

  it('refuses keys and hashes of another length', () => {
    const tree = createStateTree({ reader: memoryStore() });
    const refusal = expect.objectContaining({ code: 'MERKLE_KEY_INVALID' });
    expect(() => tree.update(new Uint8Array(31), null)).toThrow(refusal);
    expect(() => tree.update(new Uint8Array(32), new Uint8Array(33))).toThrow(refusal);
  });
});

const ABSENT = undefined;

describe('state proofs', () => {
  it('prove what every key holds or that it holds nothing, and nothing else', () => {
    const check = (probe: Bytes) => (tree: StateTree, contents: Contents) => {
      const key = bytesToHex(probe);
      const value = contents.get(key);
      const held = value && bytesToHex(value);
      const proof = tree.prove(probe);
      expect(tree.get(probe)).toEqual(value);
      expect(verifyStateProof(tree.root, key, held, proof)).toBe(true);
      expect(verifyStateProof(tree.root, key, held ? ABSENT : '01'.repeat(32), proof)).toBe(false);
      expect(verifyStateProof(tree.root, key, 'ff'.repeat(32), proof)).toBe(false);
      expect(verifyStateProof('ab'.repeat(32), key, held, proof)).toBe(false);
      expect(decodeStateProof(encodeStateProof(proof))).toEqual(proof);
    };
    fc.assert(
      fc.property(anyBatches, anyKey, fc.constantFrom(0, 1000), (batches, probe, cache) => {
        run(batches, cache, check(probe));
      }),
      { numRuns: 100 },
    );
  });

  const batch = Array.from(
    { length: 40 },
    (_, i) => [independentSha256(Uint8Array.of(i)), new Uint8Array(32).fill(i)] as const,
  );
  const { tree } = run([batch], 1000);
  const [presentKey, presentValue] = batch[3] as readonly [Bytes, Bytes];
  const absentKey = independentSha256(Uint8Array.of(200));

  it('with any byte changed are refused, whether malformed or false', () => {
    const cases = [
      [presentKey, bytesToHex(presentValue)],
      [absentKey, ABSENT],
    ] as const;
    for (const [key, value] of cases) {
      const bytes = encodeStateProof(tree.prove(key));
      for (let at = 0; at < bytes.length; at++) {
        const changed = bytes.slice();
        changed[at] = (changed[at] as number) ^ (1 << (at % 8));
        let proof: StateProof;
        try {
          proof = decodeStateProof(changed);
        } catch (error) {
          expect(isSeeleError(error)).toBe(true);
          continue;
        }
        expect(verifyStateProof(tree.root, bytesToHex(key), value, proof)).toBe(false);
      }
    }
  });

  it('do not verify with a leaf beside a held key, or with steps out of order', () => {
    const proof = tree.prove(presentKey);
    const key = bytesToHex(presentKey);
    const value = bytesToHex(presentValue);
    const other = { key: bytesToHex(absentKey), valueHash: value };
    expect(verifyStateProof(tree.root, key, value, { ...proof, other })).toBe(false);
    const self = { key, valueHash: value };
    expect(verifyStateProof(tree.root, key, ABSENT, { ...proof, other: self })).toBe(false);
    expect(verifyStateProof(tree.root, key, ABSENT, proof)).toBe(false);
    const depths = proof.depths.slice().reverse();
    expect(verifyStateProof(tree.root, key, value, { ...proof, depths })).toBe(false);
  });

  it('of random bytes are refused with clear errors', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          const proof = decodeStateProof(bytes);
          expect(verifyStateProof(tree.root, bytesToHex(presentKey), ABSENT, proof)).toBe(false);
        } catch (error) {
          if (!isSeeleError(error)) throw error;
        }
      }),
      { numRuns: 100 },
    );
    expect(() => decodeStateProof(new Uint8Array(100_000))).toThrow(
      expect.objectContaining({ code: 'KERNEL_CBOR_LIMIT' }),
    );
  });
});
