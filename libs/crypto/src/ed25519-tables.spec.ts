import { type Bytes, bytesToHex, concatBytes, hexToBytes, utf8 } from '#libs/kernel';
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { type SignedMessage, createBatchVerifier, reduceWide } from './ed25519-tables.ts';
import { ELEMENT_BYTES, type EdwardsFunctions, LIMBS, edwardsModule } from './edwards-module.ts';
import { separated } from './hashes.ts';
import { type SignatureVerifier, createSigner, verifySignature } from './signatures.ts';

const DOMAIN = 'seele/batch-test/1';
const L = ed25519.Point.Fn.ORDER;
const P = 2n ** 255n - 19n;

const refuse: SignatureVerifier = () => false;
/** What tables decide with nobody to ask: whatever they do not accept themselves is refused. */
const verify = createBatchVerifier({ alone: refuse });

const littleEndian = (value: bigint): Bytes =>
  (hexToBytes(value.toString(16).padStart(64, '0')) as Bytes).slice().reverse();
const numberOf = (bytes: Bytes): bigint =>
  BigInt(`0x${bytesToHex(new Uint8Array(bytes).reverse())}`);

const signers = Array.from({ length: 7 }, (_, i) => createSigner(new Uint8Array(32).fill(i + 1)));
const signedBy = (index: number, message: Bytes): SignedMessage => {
  const signer = signers[index % signers.length] as (typeof signers)[0];
  return { publicKey: signer.publicKey, message, signature: signer.sign(DOMAIN, message) };
};
const known = signers.map((_, i) => signedBy(i, utf8('seen')));

/** The verdict on one signature among others, of keys that have their tables. */
function verdict(item: SignedMessage): boolean {
  const others = known.slice(0, 3);
  verify(DOMAIN, [item, ...others]);
  verify(DOMAIN, [item, ...others]);
  const results = verify(DOMAIN, [item, ...others]);
  expect(results.slice(1)).toEqual([true, true, true]);
  return results[0] as boolean;
}

/** Tables alone and libsodium have to agree; their common answer. */
function common(item: SignedMessage): boolean {
  const { publicKey, message, signature } = item;
  const expected = verifySignature(publicKey, DOMAIN, message, signature);
  expect(verdict(item)).toBe(expected);
  return expected;
}

describe('signatures verified with tables', () => {
  it('hold or not as libsodium says, with any bit flipped', () => {
    fc.assert(
      fc.property(
        fc.nat(6),
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(511),
        (who, message, bit) => {
          const item = signedBy(who, message);
          expect(common(item)).toBe(true);
          const signature = item.signature.slice();
          signature[bit >> 3] = (signature[bit >> 3] as number) ^ (1 << (bit & 7));
          expect(common({ ...item, signature })).toBe(false);
          expect(common({ ...item, publicKey: signers[(who + 1) % 7]?.publicKey as string })).toBe(
            false,
          );
        },
      ),
      { numRuns: 30 },
    );
  });

  it('are no second signature (S + L), and S is below L', () => {
    const item = signedBy(0, utf8('malleable?'));
    const s = numberOf(item.signature.slice(32));
    for (const other of [s + L, L, L - 1n, 0n]) {
      const signature = concatBytes(item.signature.slice(0, 32), littleEndian(other));
      expect(common({ ...item, signature })).toBe(false);
    }
  });

  it('follow the cofactorless equation where a key has a torsion component', () => {
    const torsion = ed25519.Point.fromHex(
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
      true,
    );
    const secret = 12345678901234567890n;
    const mixed = ed25519.Point.BASE.multiply(secret).add(torsion);
    const verdicts = [];
    for (let i = 0; i < 24; i++) {
      const r = ed25519.Point.BASE.multiply(987654321n + BigInt(i)).toBytes();
      const message = utf8(`torsion ${i}`);
      const digest = sha512(concatBytes(r, mixed.toBytes(), separated(DOMAIN, message)));
      const s = (987654321n + BigInt(i) + (numberOf(digest) % L) * secret) % L;
      const signature = concatBytes(r, littleEndian(s));
      verdicts.push(common({ publicKey: `01${mixed.toHex()}`, message, signature }));
    }
    expect(new Set(verdicts)).toEqual(new Set([true, false])); // Valid where 8 divides the challenge.
  });

  it('are refused for keys that are no points, of other kinds, or not in their form', () => {
    const item = signedBy(0, utf8('m'));
    const raws = [littleEndian(2n), littleEndian(0n), littleEndian(1n), littleEndian(P + 1n)];
    for (const raw of raws)
      expect(common({ ...item, publicKey: `01${bytesToHex(raw)}` })).toBe(false);
    for (const publicKey of [
      '',
      '01',
      'zz',
      item.publicKey.slice(2),
      `02${item.publicKey.slice(2)}`,
    ])
      expect(common({ ...item, publicKey })).toBe(false);
    for (const length of [0, 32, 63, 65])
      expect(common({ ...item, signature: new Uint8Array(length) })).toBe(false);
  });

  it('are asked about alone when a key is new, and when tables would refuse them', () => {
    const asked: string[] = [];
    const alone: SignatureVerifier = (publicKey, domain, message, signature) => {
      asked.push(publicKey);
      return verifySignature(publicKey, domain, message, signature);
    };
    const fresh = createBatchVerifier({ alone });
    expect(fresh(DOMAIN, known)).toEqual(known.map(() => true));
    expect(asked).toHaveLength(known.length);
    expect(fresh(DOMAIN, known)).toEqual(known.map(() => true));
    expect(asked).toHaveLength(known.length);
    const wrong = { ...(known[0] as SignedMessage), message: utf8('other') };
    expect(fresh(DOMAIN, [wrong, ...known])).toEqual([false, ...known.map(() => true)]);
    expect(asked).toHaveLength(known.length + 1);
  });

  it('hold for more keys than there are tables', () => {
    const small = createBatchVerifier({ tablesMax: 1 });
    const many = Array.from({ length: 1_100 }, (_, i) => {
      const signer = createSigner(
        Uint8Array.from({ length: 32 }, (__, j) => (i >> (8 * j)) & 0xff),
      );
      const message = utf8(`message ${i}`);
      return { publicKey: signer.publicKey, message, signature: signer.sign(DOMAIN, message) };
    });
    for (let round = 0; round < 2; round++) {
      expect(small(DOMAIN, many).every(Boolean)).toBe(true);
      const mixed = many.map((item, i) => (i % 50 === 7 ? { ...item, message: utf8('no') } : item));
      expect(small(DOMAIN, mixed)).toEqual(many.map((_, i) => i % 50 !== 7));
    }
  });
});

describe('arithmetic below', () => {
  it('reduces 512 bits mod L', () => {
    const near = fc.tuple(
      fc.bigInt({ min: 0n, max: 2n ** 259n }),
      fc.bigInt({ min: -2n, max: 2n }),
    );
    const values = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 512n - 1n }),
      near.map(([times, off]) => (times * L + off < 0n ? 0n : times * L + off)),
      fc.constantFrom(0n, L - 1n, L, 2n ** 512n - 1n),
    );
    const words = new Uint32Array(9);
    fc.assert(
      fc.property(values, (value) => {
        const bytes = Uint8Array.from({ length: 64 }, (_, i) =>
          Number((value >> BigInt(8 * i)) & 255n),
        );
        reduceWide(bytes, words);
        const reduced = words.reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n);
        expect(reduced).toBe(value % L);
      }),
      { numRuns: 300 },
    );
  });

  it('is exact for limbs as large as they may be', () => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const module = new WebAssembly.Module(edwardsModule(1) as Uint8Array<ArrayBuffer>);
    const { exports } = new WebAssembly.Instance(module, { e: { memory } });
    const { multiply, square, add, subtract } = exports as unknown as EdwardsFunctions;
    const numbers = new Float64Array(memory.buffer);
    const [a, b, out] = [4_096, 4_096 + ELEMENT_BYTES, 4_096 + 2 * ELEMENT_BYTES] as const;
    const ONE = 2 ** 50 + 2 ** 13;
    const limb = (size: number) =>
      fc.oneof(
        fc.constantFrom(0, size * ONE, -size * ONE, size * ONE - 1),
        fc.maxSafeInteger().map((value) => value % (size * ONE)),
      );
    const element = (size: number) => fc.array(limb(size), { minLength: LIMBS, maxLength: LIMBS });
    const write = (at: number, lane: number, limbs: readonly number[]): void =>
      limbs.forEach((value, i) => {
        numbers[at / 8 + 2 * i + lane] = value;
      });
    const value = (limbs: readonly number[]): bigint =>
      limbs.reduceRight((sum, part) => sum * 2n ** 51n + BigInt(part), 0n);
    const read = (lane: number): bigint => {
      const limbs = Array.from(
        { length: LIMBS },
        (_, i) => numbers[out / 8 + 2 * i + lane] as number,
      );
      for (const part of limbs) expect(Math.abs(part)).toBeLessThanOrEqual(ONE);
      return ((value(limbs) % P) + P) % P;
    };
    const mod = (n: bigint): bigint => ((n % P) + P) % P;
    const sizes = fc.constantFrom([1, 1], [2, 1], [1, 3]);
    const factors = sizes.chain(([left, right]) =>
      fc.tuple(element(1), element(left as number), element(right as number), element(1)),
    );
    fc.assert(
      fc.property(factors, ([carried, left, right, other]) => {
        [left, carried].forEach((limbs, lane) => write(a, lane, limbs));
        [right, other].forEach((limbs, lane) => write(b, lane, limbs));
        multiply(out, a, b);
        expect(read(0)).toBe(mod(value(left) * value(right)));
        expect(read(1)).toBe(mod(value(carried) * value(other)));
        add(out, a, b);
        expect(read(0)).toBe(mod(value(left) + value(right)));
        subtract(out, a, b);
        expect(read(0)).toBe(mod(value(left) - value(right)));
        square(out, a);
        expect(read(1)).toBe(mod(value(carried) ** 2n));
      }),
      { numRuns: 300 },
    );
  });
});
