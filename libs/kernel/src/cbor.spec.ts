import * as dagCbor from '@ipld/dag-cbor';
import fc from 'fast-check';
import { CID } from 'multiformats/cid';
import { type Bytes, bytesToHex, hexToBytes } from './bytes.ts';
import { decodeCbor } from './cbor-decode.ts';
import { CBOR_MAX_DEPTH, type CborValue, encodeCbor } from './cbor-encode.ts';
import { isSeeleError } from './errors.ts';

const hex = (text: string): Bytes => hexToBytes(text.replaceAll(' ', '')) as Bytes;
const decodeHex = (text: string): CborValue => decodeCbor(hex(text));
const code = (expected: string) => expect.objectContaining({ code: expected });

const someCid = CID.parse('bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy');
const anyInteger = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(1n << 64n), max: (1n << 64n) - 1n }),
);
const anyScalar = fc.oneof(
  fc.constantFrom(null, true, false, someCid),
  anyInteger,
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((x) => !Number.isInteger(x)),
  fc.string({ unit: 'binary' }),
  fc.uint8Array({ maxLength: 300 }),
);
const { value: anyValue } = fc.letrec<{ value: CborValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    anyScalar,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(fc.string({ unit: 'binary', maxLength: 30 }), tie('value'), { maxKeys: 6 }),
  ),
}));

/** Wide integers that fit a number come back as one; maps lose their prototype. */
function normal(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const fits = value <= Number.MAX_SAFE_INTEGER && value >= -Number.MAX_SAFE_INTEGER;
    return fits ? Number(value) : value;
  }
  if (Object.is(value, -0)) return 0;
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array || value instanceof CID) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, normal(v)]));
}

describe('canonical CBOR', () => {
  it('decode(encode(x)) = x and encode(decode(b)) = b', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const bytes = encodeCbor(value);
        const back = decodeCbor(bytes);
        expect(normal(back)).toEqual(normal(value));
        expect(encodeCbor(back)).toEqual(bytes);
      }),
      { numRuns: 100 },
    );
  });

  it('writes the same bytes as @ipld/dag-cbor and reads what it writes', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        const theirs = dagCbor.encode(value);
        expect(bytesToHex(encodeCbor(value))).toBe(bytesToHex(theirs));
        expect(normal(decodeCbor(theirs))).toEqual(normal(dagCbor.decode(theirs)));
      }),
      { numRuns: 100 },
    );
  });

  it.each([
    [0, '00'],
    [23, '17'],
    [24, '1818'],
    [255, '18ff'],
    [256, '190100'],
    [65535, '19ffff'],
    [65536, '1a00010000'],
    [2 ** 32, '1b0000000100000000'],
    [(1n << 64n) - 1n, '1bffffffffffffffff'],
    [-1, '20'],
    [-(1n << 64n), '3bffffffffffffffff'],
    [-Number.MAX_SAFE_INTEGER, '3b001ffffffffffffe'],
    [-0, '00'],
    [1.5, 'fb3ff8000000000000'],
    ['ü', '62c3bc'],
    [{ bb: 1, a: 2, aa: 3 }, 'a3 6161 02 626161 03 626262 01'],
    [[], '80'],
    [{}, 'a0'],
  ] as const)('RFC 8949 form of %p', (value, expected) => {
    expect(bytesToHex(encodeCbor(value))).toBe(expected.replaceAll(' ', ''));
    expect(normal(decodeHex(expected))).toEqual(normal(value));
  });

  it.each([
    ['an empty input', ''],
    ['a one-byte integer below 24', '1817'],
    ['a two-byte integer below 256', '1900ff'],
    ['a four-byte integer below 65536', '1a0000ffff'],
    ['an eight-byte integer below 2^32', '1b00000000ffffffff'],
    ['a text length not in shortest form', '780161'],
    ['a list length not in shortest form', '980100'],
    ['an indefinite list', '9f00ff'],
    ['an indefinite map', 'bf616100ff'],
    ['an indefinite text', '7f6161ff'],
    ['an indefinite byte string', '5f4101ff'],
    ['a reserved length', '1c'],
    ['a break', 'ff'],
    ['unsorted keys of one length', 'a2 6162 00 6161 00'],
    ['keys sorted by bytes before length', 'a2 626161 00 6162 00'],
    ['a duplicate key', 'a2 6161 00 6161 00'],
    ['a key that is a number', 'a1 00 00'],
    ['a key that is bytes', 'a1 4161 00'],
    ['a half float', 'f93e00'],
    ['a single float', 'fa3fc00000'],
    ['not a number', 'fb7ff8000000000000'],
    ['infinity', 'fb7ff0000000000000'],
    ['a whole number as a float', 'fb3ff0000000000000'],
    ['minus zero as a float', 'fb8000000000000000'],
    ['a whole number beyond 2^53 as a float', 'fb7e37e43c8800759c'],
    ['undefined', 'f7'],
    ['a simple value', 'e0'],
    ['an extended simple value', 'f820'],
    ['a tag other than 42', 'c0 6161'],
    ['tag 42 not in shortest form', 'd9002a 4100'],
    ['tag 42 around text', 'd82a 6161'],
    ['a CID without its zero byte', 'd82a 41 01'],
    ['a CID that is none', 'd82a 42 0001'],
    [
      'a CID with a number in two bytes for one',
      'd82a 58 26 00 8100 55 12 20'.concat('ab'.repeat(32)),
    ],
    ['malformed UTF-8', '61ff'],
    ['an encoded surrogate', '63eda080'],
    ['trailing data', '0000'],
    ['a truncated integer', '19ff'],
    ['a truncated text', '6261'],
    ['a list longer than its input', '9affffffff'],
    ['a byte string longer than 2^53', '5bffffffffffffffff'],
  ])('refuses %s', (_, input) => {
    expect(() => decodeHex(input)).toThrow(code('KERNEL_CBOR_INVALID'));
  });

  it('gives bytes of their own, also from a Buffer', () => {
    const input = Buffer.from(encodeCbor(Uint8Array.of(1, 2, 3)));
    const before = Buffer.from(input);
    const bytes = decodeCbor(input) as Uint8Array;
    bytes.fill(9);
    expect(input).toEqual(before);
    expect(Buffer.isBuffer(bytes)).toBe(false);
  });

  it('refuses input over its size or depth before reading on', () => {
    expect(() => decodeCbor(new Uint8Array(101), { maxBytes: 100 })).toThrow(
      code('KERNEL_CBOR_LIMIT'),
    );
    const nested = (levels: number) => hex(`${'81'.repeat(levels)}00`);
    expect(() => decodeCbor(nested(3), { maxDepth: 2 })).toThrow(code('KERNEL_CBOR_LIMIT'));
    expect(decodeCbor(nested(2), { maxDepth: 2 })).toEqual([[0]]);
    expect(() => decodeCbor(nested(100_000))).toThrow(code('KERNEL_CBOR_LIMIT'));
    let deep: CborValue = 0;
    for (let i = 0; i <= CBOR_MAX_DEPTH; i++) deep = [deep];
    expect(() => encodeCbor(deep)).toThrow(code('KERNEL_CBOR_LIMIT'));
  });

  it('refuses to write what has no canonical form', () => {
    const bad = [
      Number.NaN,
      Infinity,
      2 ** 53,
      1n << 64n,
      -(1n << 64n) - 1n,
      '\ud800',
      { '\udc00': 1 },
    ];
    for (const value of [...bad, undefined, () => 0, Symbol('x')])
      expect(() => encodeCbor(value as CborValue)).toThrow(code('KERNEL_CBOR_UNSUPPORTED'));
    expect(bytesToHex(encodeCbor({ a: undefined as unknown as null }))).toBe('a0');
  });

  it('keeps keys that look like properties of objects apart from them', () => {
    const map = decodeHex('a1 69 5f5f70726f746f5f5f a1 6161 01') as Record<string, unknown>;
    expect(Object.keys(map)).toEqual(['__proto__']);
    expect((map as { a?: unknown }).a).toBeUndefined();
  });

  it('answers any bytes with a value that encodes back, or with a clear error', () => {
    const mutated = fc.tuple(anyValue, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
      const bytes = encodeCbor(value).slice();
      bytes[at % bytes.length] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), mutated), (bytes) => {
        try {
          expect(encodeCbor(decodeCbor(bytes))).toEqual(bytes);
        } catch (error) {
          if (!isSeeleError(error)) throw error;
        }
      }),
      { numRuns: 300 },
    );
  });
});
