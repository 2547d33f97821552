import { equalBytes, isSeeleError, type Bytes } from '#libs/kernel';
import fc from 'fast-check';

import { createScalarEngine, type Engine } from './engine.ts';
import { inverse, invert, multiply } from './galois-field.ts';
import { createErasureCode, DEAL_SHAPE, joinShards, splitIntoShards } from './reed-solomon.ts';
import { createSimdEngine } from './simd-engine.ts';

const simd = createSimdEngine() as Engine;
const scalar = createScalarEngine();

/** Product by shifting and adding: slow, and nothing in common with tables of logarithms. */
function schoolbook(a: number, b: number): number {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product <<= 1;
    if (product > 255) product ^= 0x11d;
    if ((b >> bit) & 1) product ^= a;
  }
  return product;
}

/** Every choice of `count` out of `total`. */
function* choices(total: number, count: number, from = 0): Generator<number[]> {
  if (count === 0) yield [];
  else
    for (let first = from; first <= total - count; first++)
      for (const rest of choices(total, count - 1, first + 1)) yield [first, ...rest];
}

const bytes = (length: number, seed: number): Bytes =>
  Uint8Array.from({ length }, (_, i) => Math.imul(i + seed, 2_654_435_761) >>> 13);

describe('GF(2^8) with 0x11d', () => {
  it('multiplies as shifting and adding does, and every element but 0 has its inverse', () => {
    for (let a = 0; a < 256; a++)
      for (let b = 0; b < 256; b++) if (multiply(a, b) !== schoolbook(a, b)) throw new Error();
    for (let a = 1; a < 256; a++) expect(multiply(a, inverse(a))).toBe(1);
  });

  it('says when a matrix has no inverse', () => {
    expect(invert([Uint8Array.of(1, 2), Uint8Array.of(2, 4)])).toBeUndefined();
    expect(invert([Uint8Array.of(0, 1), Uint8Array.of(1, 0)])).toEqual([
      Uint8Array.of(0, 1),
      Uint8Array.of(1, 0),
    ]);
  });
});

describe('the kernel on WebAssembly SIMD', () => {
  it('is there on this Node', () => expect(simd.name).toBe('simd'));

  it('gives what the scalar reference gives, for every coefficient and value', () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    for (let factor = 0; factor < 256; factor++) {
      const out = [new Uint8Array(256), new Uint8Array(256)];
      simd.combine([Uint8Array.of(factor)], [all], [out[0] as Bytes]);
      scalar.combine([Uint8Array.of(factor)], [all], [out[1] as Bytes]);
      expect(equalBytes(out[0] as Bytes, out[1] as Bytes)).toBe(true);
    }
  });

  it('gives what the scalar reference gives, for any shape and length', () => {
    const shape = fc.record({
      inputs: fc.integer({ min: 1, max: 128 }),
      outputs: fc.integer({ min: 1, max: 127 }),
      length: fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 16_300, max: 16_500 })),
      seed: fc.nat(1_000_000),
    });
    fc.assert(
      fc.property(shape, ({ inputs, outputs, length, seed }) => {
        const size = length > 200 ? Math.min(inputs, 12) : inputs;
        const rows = length > 200 ? Math.min(outputs, 8) : outputs;
        const matrix = Array.from({ length: rows }, (_, r) => bytes(size, seed + r * 7919));
        const given = Array.from({ length: size }, (_, i) => bytes(length, seed + i * 31));
        const [fast, slow] = [0, 1].map(() =>
          Array.from({ length: rows }, () => new Uint8Array(length).fill(9)),
        ) as [Bytes[], Bytes[]];
        simd.combine(matrix, given, fast);
        scalar.combine(matrix, given, slow);
        return fast.every((row, r) => equalBytes(row, slow[r] as Bytes));
      }),
      { numRuns: 30 },
    );
  });
});

describe('Reed–Solomon 10+6', () => {
  it.each([simd, scalar])('rebuilds from every 10 of 16 shards ($name: all 8 008)', (engine) => {
    const code = createErasureCode(DEAL_SHAPE, engine);
    const data = splitIntoShards(bytes(397, 5), 10);
    const shards = [...data, ...code.encode(data)];
    let tried = 0;
    for (const lost of choices(16, 6)) {
      const back = code.rebuild(shards.map((s, i) => (lost.includes(i) ? undefined : s)));
      for (const index of lost)
        if (!equalBytes(back[index] as Bytes, shards[index] as Bytes))
          throw new Error(`lost ${lost.join()}: shard ${index} is another one`);
      tried++;
    }
    expect(tried).toBe(8008);
  });

  it('refuses to guess from 9, and shards that do not belong together', () => {
    const code = createErasureCode(DEAL_SHAPE);
    const data = splitIntoShards(bytes(100, 1), 10);
    const shards = [...data, ...code.encode(data)];
    const nine = shards.map((shard, i) => (i < 7 ? undefined : shard));
    expect(() => code.rebuild(nine)).toThrow(/9 of 16 shards are there, 10 are needed/);
    expect(() => code.rebuild(Array(16).fill(undefined))).toThrow(/0 of 16/);
    expect(() => code.rebuild(shards.slice(1))).toThrow(/15 shards where 16/);
    expect(() => code.encode([...data.slice(1), new Uint8Array(3)])).toThrow(/shard 9 has 3 bytes/);
  });
});

describe('any code', () => {
  it('gives content back from any of its shards, and changes nothing of what it is given', () => {
    const input = fc.record({
      dataShards: fc.integer({ min: 1, max: 40 }),
      parityShards: fc.integer({ min: 1, max: 20 }),
      content: fc.uint8Array({ maxLength: 700 }),
      order: fc.infiniteStream(fc.nat(1000)),
    });
    fc.assert(
      fc.property(input, ({ content, order, ...shape }) => {
        const code = createErasureCode(shape);
        const data = splitIntoShards(content, shape.dataShards);
        const shards = [...data, ...code.encode(data)];
        const kept = shards.map((shard) => shard.slice());
        const lost = new Set(
          shards
            .map((_, index) => ({ index, key: order.next().value as number }))
            .toSorted((a, b) => a.key - b.key)
            .slice(0, shape.parityShards)
            .map(({ index }) => index),
        );
        const back = code.rebuild(shards.map((s, i) => (lost.has(i) ? undefined : s)));
        expect(back).toEqual(kept);
        expect(shards).toEqual(kept);
        const whole = joinShards(back.slice(0, shape.dataShards), content.length);
        expect(equalBytes(whole, content)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    [0, 1],
    [1, 0],
    [129, 1],
    [1, 128],
    [1.5, 2],
    [NaN, 2],
  ])('refuses %d+%d', (dataShards, parityShards) => {
    expect(() => createErasureCode({ dataShards, parityShards })).toThrow(/no code has/);
  });

  it('throws nothing but its own errors, whatever it is given to rebuild', () => {
    const shard = fc.option(fc.uint8Array({ maxLength: 4 }), { nil: undefined });
    const code = createErasureCode({ dataShards: 3, parityShards: 2 });
    fc.assert(
      fc.property(fc.array(shard, { maxLength: 6 }), (shards) => {
        try {
          return code.rebuild(shards).length === 5;
        } catch (error) {
          return isSeeleError(error);
        }
      }),
      { numRuns: 100 },
    );
    expect(() => joinShards([new Uint8Array(3)], 4)).toThrow(/hold 3 bytes, not 4/);
  });

  it('works at the edges of its sizes', () => {
    const code = createErasureCode({ dataShards: 128, parityShards: 127 });
    const data = splitIntoShards(bytes(128 * 70, 3), 128);
    const shards = [...data, ...code.encode(data)];
    const back = code.rebuild(shards.map((s, i) => (i < 127 ? undefined : s)));
    expect(back.every((shard, i) => equalBytes(shard, shards[i] as Bytes))).toBe(true);
  });
});
