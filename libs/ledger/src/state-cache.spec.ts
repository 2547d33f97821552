import { type Bytes, bytesToHex } from '#libs/kernel';
import fc from 'fast-check';
import type { StateReader } from './journal.ts';
import { keyText } from './journal.ts';
import { createStateCache } from './state-cache.ts';

const CACHED = 'token';
const OTHER = 'user';

function countingReader() {
  const stored = new Map<string, Bytes>();
  const reader = {
    stored,
    reads: 0,
    put(contract: string, key: Bytes, value: Bytes | undefined) {
      const name = contract + bytesToHex(key);
      if (value) stored.set(name, value);
      else stored.delete(name);
    },
    get(contract: string, key: Bytes) {
      reader.reads++;
      return stored.get(contract + bytesToHex(key));
    },
    scan: () => [],
  };
  return reader satisfies StateReader & object;
}

describe('state cache', () => {
  const key = Uint8Array.of(1, 200);

  it('asks the store once for what is there and for what is not', () => {
    const reader = countingReader();
    const cache = createStateCache(reader, [CACHED]);
    reader.put(CACHED, key, Uint8Array.of(7));
    for (let i = 0; i < 3; i++) {
      expect(cache.get(CACHED, key)).toEqual(Uint8Array.of(7));
      expect(cache.get(CACHED, Uint8Array.of(2))).toBeUndefined();
    }
    expect(reader.reads).toBe(2);
  });

  it('always asks the store for contracts it does not know and for large values', () => {
    const reader = countingReader();
    const cache = createStateCache(reader, [CACHED]);
    reader.put(CACHED, key, new Uint8Array(129));
    for (let i = 0; i < 2; i++) {
      cache.get(CACHED, key);
      cache.get(OTHER, key);
    }
    expect(reader.reads).toBe(4);
  });

  it('shows what the store shows, whatever blocks change and however small it is', () => {
    const anyKey = fc.nat(9).map((n) => Uint8Array.of(n, 255 - n));
    const anyValue = fc.option(
      fc.constantFrom(1, 128, 129).map((n) => new Uint8Array(n).fill(n)),
      { nil: undefined },
    );
    const anyChange = fc.record({
      contract: fc.constantFrom(CACHED, 'ledger', OTHER),
      key: anyKey,
      after: anyValue,
    });
    const anyStep = fc.record({ block: fc.array(anyChange, { maxLength: 4 }), read: anyChange });
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 30 }), fc.nat(6), (steps, entriesMax) => {
        const reader = countingReader();
        const cache = createStateCache(reader, [CACHED, 'ledger'], entriesMax);
        for (const { block, read } of steps) {
          for (const { contract, key: changed, after } of block)
            reader.put(contract, changed, after);
          cache.committed(
            block.map((change) => ({ ...change, text: keyText(change.key), before: undefined })),
          );
          const expected = reader.get(read.contract, read.key);
          expect(cache.get(read.contract, read.key)).toEqual(expected);
        }
      }),
      { numRuns: 100 },
    );
  });
});
