import fc from 'fast-check';
import { decodeCbor } from './cbor-decode.ts';
import { type CborValue, encodeCbor } from './cbor-encode.ts';
import {
  type Codec,
  bool,
  byteString,
  cid,
  decodeWith,
  encodeWith,
  float,
  hash32,
  hexBytes,
  i64,
  list,
  nullable,
  oneOf,
  optional,
  record,
  text,
  u64,
  uint,
  variant,
} from './codec.ts';
import { isSeeleError } from './errors.ts';

const CID_TEXT = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';
const shape = record({
  flag: bool,
  count: uint(1000),
  share: float,
  amount: u64,
  delta: i64,
  name: text(10),
  word: oneOf('up', 'down'),
  blob: byteString(4),
  id: hash32,
  short: hexBytes(2),
  link: cid,
  items: list(uint(), 3),
  maybe: optional(text(5)),
  none: nullable(uint()),
  step: variant({ move: record({ by: uint() }), stop: record({}) }),
});
const value = {
  flag: true,
  count: 7,
  share: 0.5,
  amount: (1n << 64n) - 1n,
  delta: -5n,
  name: 'näme',
  word: 'up',
  blob: Uint8Array.of(1, 2),
  id: 'ab'.repeat(32),
  short: '00ff',
  link: CID_TEXT,
  items: [1, 2],
  maybe: 'x',
  none: null,
  step: { kind: 'move', by: 2 },
} as const;

const refusal = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    if (isSeeleError(error)) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
};

describe('typed shapes', () => {
  it('come back as they went in, with optional fields absent and never null', () => {
    const bytes = encodeWith(shape, value);
    expect(decodeWith(shape, bytes)).toEqual(value);
    expect(encodeWith(shape, decodeWith(shape, bytes))).toEqual(bytes);
    const { maybe: _, ...without } = value;
    const shorter = decodeWith(shape, encodeWith(shape, without));
    expect(shorter).toEqual(without);
    expect(Object.hasOwn(shorter, 'maybe')).toBe(false);
    const stop = { ...value, step: { kind: 'stop' } } as const;
    expect(decodeWith(shape, encodeWith(shape, stop))).toEqual(stop);
  });

  it.each([
    ['flag', 1],
    ['count', 1001],
    ['count', -1],
    ['count', 1.5],
    ['share', Infinity],
    ['share', 1e300],
    ['amount', 5],
    ['amount', 1n << 64n],
    ['amount', -1n],
    ['delta', 1n << 63n],
    ['name', 'elevenchars'],
    ['name', '\ud800'],
    ['word', 'left'],
    ['blob', new Uint8Array(5)],
    ['id', 'AB'.repeat(32)],
    ['id', 'ab'],
    ['short', '0'],
    ['link', 'nonsense'],
    ['items', [1, 2, 3, 4]],
    ['items', ['x']],
    ['maybe', null],
    ['none', undefined],
    ['step', { kind: 'jump' }],
    ['step', { kind: 'move' }],
  ])('refuse to write %s = %p, naming the field', (field, wrong) => {
    const attempt = () => encodeWith(shape, { ...value, [field]: wrong });
    expect(refusal(attempt)).toMatch(new RegExp(`^KERNEL_SHAPE ${field}`));
  });

  it('refuse to read a missing, unknown or wrongly typed field, naming it', () => {
    const cbor = decodeCbor(encodeWith(shape, value)) as Record<string, CborValue>;
    for (const field of Object.keys(value)) {
      const { [field]: _, ...missing } = cbor;
      const outcome = refusal(() => decodeWith(shape, encodeCbor(missing)));
      if (field === 'maybe') expect(outcome).toBe('accepted');
      else expect(outcome).toMatch(new RegExp(`^KERNEL_SHAPE ${field}`));
      const typed = encodeCbor({ ...cbor, [field]: { wrong: true } });
      expect(refusal(() => decodeWith(shape, typed))).toMatch(new RegExp(`^KERNEL_SHAPE ${field}`));
    }
    const extra = encodeCbor({ ...cbor, extra: 1 });
    expect(refusal(() => decodeWith(shape, extra))).toMatch(/^KERNEL_SHAPE extra/);
    const inside = encodeCbor({ ...cbor, step: { kind: 'stop', by: 1 } });
    expect(refusal(() => decodeWith(shape, inside))).toMatch(/^KERNEL_SHAPE step\.by/);
    const inherited = encodeCbor({ ...cbor, step: { kind: 'toString' } });
    expect(refusal(() => decodeWith(shape, inherited))).toMatch(/^KERNEL_SHAPE step\.kind/);
  });

  it('read one number from one encoding only', () => {
    for (const codec of [uint(), u64, i64, float] as Codec<unknown>[]) {
      const minusZero = Uint8Array.of(0xfb, 0x80, 0, 0, 0, 0, 0, 0, 0);
      expect(refusal(() => decodeWith(codec, minusZero))).toMatch(/^KERNEL_CBOR_INVALID/);
    }
    expect(encodeWith(uint(), -0)).toEqual(Uint8Array.of(0));
  });

  it('read a CID of version 0 from its one encoding only', () => {
    const digest = [18, 32, ...Array.from({ length: 32 }, (_, i) => i)];
    const tagged = (...bytes: number[]) => Uint8Array.of(0xd8, 42, 0x58, bytes.length, ...bytes);
    const plain = tagged(0, ...digest);
    expect(encodeWith(cid, decodeWith(cid, plain))).toEqual(plain);
    const outcome = refusal(() => decodeWith(cid, tagged(0, 0, 113, ...digest)));
    expect(outcome).toMatch(/^KERNEL_CBOR_INVALID/);
  });

  it('answer any bytes with a value that encodes back, or with a clear error', () => {
    const valid = encodeWith(shape, value);
    const mutated = fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, byte]) => {
      const bytes = valid.slice();
      bytes[at] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 40 })), (bytes) => {
        try {
          expect(encodeWith(shape, decodeWith(shape, bytes))).toEqual(bytes);
        } catch (error) {
          if (!isSeeleError(error)) throw error;
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('the direct way between values and bytes', () => {
  const inner = record({ by: uint(70_000), note: optional(text(40)), at: nullable(u64) });
  const direct = record({
    flag: bool,
    count: uint(),
    amount: u64,
    name: text(30),
    word: oneOf('up', 'down'),
    blob: byteString(300),
    id: hash32,
    items: list(inner, 5),
    maybe: optional(byteString(3)),
    step: variant({ move: inner, stop: record({}), body: record({ abc: list(uint(), 9) }) }),
  });
  /** The same codec without its direct way. */
  const indirect = { toCbor: direct.toCbor, fromCbor: direct.fromCbor };
  const innerValues = fc.record(
    {
      by: fc.nat(70_000),
      note: fc.string({ maxLength: 40, unit: 'grapheme' }),
      at: fc.constant(null),
    },
    { requiredKeys: ['by', 'at'] },
  );
  const values = fc.record(
    {
      flag: fc.boolean(),
      count: fc.oneof(fc.nat(70_000), fc.maxSafeNat()),
      amount: fc.oneof(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.bigInt(0n, 1n << 33n)),
      name: fc.string({ maxLength: 30 }),
      word: fc.constantFrom('up', 'down'),
      blob: fc.uint8Array({ maxLength: 300 }),
      id: fc
        .uint8Array({ minLength: 32, maxLength: 32 })
        .map((bytes) => Buffer.from(bytes).toString('hex')),
      items: fc.array(innerValues, { maxLength: 5 }),
      maybe: fc.uint8Array({ maxLength: 3 }),
      step: fc.oneof(
        innerValues.map((value) => ({ kind: 'move', ...value })),
        fc.constant({ kind: 'stop' }),
        fc.array(fc.nat(), { maxLength: 9 }).map((abc) => ({ kind: 'body', abc })),
      ),
    },
    { requiredKeys: ['flag', 'count', 'amount', 'name', 'word', 'blob', 'id', 'items', 'step'] },
  );
  const outcome = (run: () => unknown): unknown => {
    try {
      return run();
    } catch (error) {
      if (!isSeeleError(error)) throw error;
      return [error.code, error.message];
    }
  };

  test('is there, and gives the bytes and values of the other one', () => {
    expect(direct.direct).toBeDefined();
    fc.assert(
      fc.property(values, (one) => {
        const bytes = encodeWith(direct, one as never);
        expect(bytes).toEqual(encodeWith(indirect, one as never));
        expect(decodeWith(direct, bytes)).toEqual(decodeWith(indirect, bytes));
        expect(decodeWith(direct, bytes, { views: true })).toEqual(decodeWith(indirect, bytes));
        expect(Object.keys(decodeWith(direct, bytes))).toEqual(
          Object.keys(decodeWith(indirect, bytes)),
        );
      }),
      { numRuns: 100 },
    );
  });

  test('accepts and refuses the same of bytes that were changed, cut or added to', () => {
    fc.assert(
      fc.property(values, fc.nat(), fc.nat(255), fc.nat(3), (one, at, byte, what) => {
        const bytes = Uint8Array.from(encodeWith(direct, one as never));
        const place = at % bytes.length;
        if (what < 2) bytes[place] = byte;
        const changed =
          what === 2 ? bytes.slice(0, place) : what === 3 ? Uint8Array.of(...bytes, byte) : bytes;
        expect(outcome(() => decodeWith(direct, changed))).toEqual(
          outcome(() => decodeWith(indirect, changed)),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('refuses the same values', () => {
    const good = fc.sample(values, { numRuns: 1, seed: 1 })[0] as Record<string, unknown>;
    for (const wrong of [
      { ...good, count: -1 },
      { ...good, count: 1.5 },
      { ...good, amount: 5 },
      { ...good, amount: 1n << 64n },
      { ...good, name: 'x'.repeat(31) },
      { ...good, name: '\ud800' },
      { ...good, id: 'AB'.repeat(32) },
      { ...good, id: 'ab' },
      { ...good, id: undefined },
      { ...good, items: Array.from({ length: 6 }, () => ({ by: 1, at: null })) },
      { ...good, step: { kind: 'jump' } },
      { ...good, step: new Uint8Array() },
      new Uint8Array(),
      null,
    ])
      expect(outcome(() => encodeWith(direct, wrong as never))).toEqual(
        outcome(() => encodeWith(indirect, wrong as never)),
      );
  });
});
