import { type Bytes, bytesToHex, concatBytes, hexToBytes, utf8 } from '#libs/kernel';
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import {
  ed25519Sign,
  ed25519Verify,
  ed25519VerifyOpenSsl,
  ed25519VerifyReference,
  importPrivateKey,
  isAcceptableKey,
} from './ed25519.ts';
import { accountOf, contractAccount, keyPairFromSeed } from './accounts.ts';
import { GenerationCache } from './generation-cache.ts';
import { keyedHashSigner, keyedHashVerifier } from './keyed-hash.ts';
import {
  createSigner,
  verifyForeign,
  verifySignature,
  verifySignatureReference,
} from './signatures.ts';

const hex = (text: string): Bytes => hexToBytes(text) as Bytes;
const L = ed25519.Point.Fn.ORDER;
const P = 2n ** 255n - 19n;

const littleEndian = (value: bigint): Bytes =>
  hex(value.toString(16).padStart(64, '0')).slice().reverse();

const sha512Challenge = (...parts: Bytes[]): bigint =>
  BigInt(`0x${bytesToHex(sha512(concatBytes(...parts)).reverse())}`) % L;

/** The three verifiers, which must agree on everything; their common answer. */
function verdict(publicKey: string, message: Bytes, signature: Bytes): boolean {
  const native = ed25519Verify(publicKey, message, signature);
  expect(ed25519VerifyOpenSsl(publicKey, message, signature)).toBe(native);
  expect(ed25519VerifyReference(publicKey, message, signature)).toBe(native);
  return native;
}

describe('RFC 8032 section 7.1 test vectors', () => {
  const vectors = [
    {
      seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      key: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      message: '',
      signature:
        'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    },
    {
      seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      key: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      message: '72',
      signature:
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    },
    {
      seed: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
      key: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      message: 'af82',
      signature:
        '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    },
  ];

  it.each(vectors)('message "$message"', ({ seed, key, message, signature }) => {
    expect(keyPairFromSeed(hex(seed)).publicKey).toBe(`01${key}`);
    const made = ed25519Sign(importPrivateKey(hex(seed)), hex(message));
    expect(bytesToHex(made)).toBe(signature);
    expect(verdict(key, hex(message), made)).toBe(true);
  });
});

describe('native and reference verification agree', () => {
  const key = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a';
  const privateKey = importPrivateKey(
    hex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'),
  );

  it('on signatures with any bit flipped, which are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(511), (message, bit) => {
        const signature = ed25519Sign(privateKey, message);
        expect(verdict(key, message, signature)).toBe(true);
        const at = bit >> 3;
        signature[at] = (signature[at] as number) ^ (1 << (bit & 7));
        expect(verdict(key, message, signature)).toBe(false);
      }),
      { numRuns: 40 },
    );
  });

  it('on random keys and signatures of any length', () => {
    const keys = fc.uint8Array({ minLength: 30, maxLength: 34 });
    const signatures = fc.oneof(
      fc.uint8Array({ minLength: 64, maxLength: 64 }),
      fc.uint8Array({ maxLength: 70 }),
    );
    fc.assert(
      fc.property(keys, signatures, (k, s) => {
        expect(verdict(bytesToHex(k), utf8('m'), s)).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it('on signatures in Buffers, whose `slice` is no copy: checking changes nothing', () => {
    const seed = new Uint8Array(32).fill(7);
    const { publicKey } = keyPairFromSeed(seed);
    const key = importPrivateKey(seed);
    let odd = 0;
    for (let i = 0; i < 400; i++) {
      const message = utf8(`message ${i}`);
      const signature = Buffer.from(ed25519Sign(key, message));
      // An R that begins like one of small order is looked at more closely.
      if ([0, 1, 0x26, 0xc7].includes(signature[0] as number) && (signature[31] as number) > 127)
        odd++;
      expect(verdict(publicKey.slice(2), message, signature)).toBe(true);
    }
    expect(odd).toBeGreaterThan(0);
  });

  it('on S + L, the second encoding of the same signature, which is refused', () => {
    const message = utf8('malleable?');
    const signature = ed25519Sign(privateKey, message);
    const s = BigInt(`0x${bytesToHex(signature.slice(32).reverse())}`);
    const second = concatBytes(signature.slice(0, 32), littleEndian(s + L));
    expect(verdict(key, message, second)).toBe(false);
    expect(verdict(key, message, concatBytes(signature.slice(0, 32), littleEndian(L)))).toBe(false);
  });

  /** The eight points of small order, in every encoding, canonical or not. */
  const smallOrderKeys = [0n, 1n, P - 1n, P, P + 1n]
    .map((y) => littleEndian(y))
    .concat(
      hex('26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'),
      hex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'),
    )
    .flatMap((y) => {
      const negative = y.slice();
      negative[31] = (negative[31] as number) | 0x80;
      return [bytesToHex(y), bytesToHex(negative)];
    });

  it.each(smallOrderKeys)('on the small-order key %s, which is refused', (small) => {
    expect(isAcceptableKey(hex(small))).toBe(false);
    // S = 0 and R = identity satisfies the equation for every message under such a key.
    const identity = littleEndian(1n);
    for (const r of [identity, hex(small)])
      for (const word of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
        expect(verdict(small, utf8(word), concatBytes(r, littleEndian(0n)))).toBe(false);
  });

  it('on keys whose y is not reduced, which are refused', () => {
    for (let extra = 0n; extra < 19n; extra++) {
      const raw = littleEndian(P + extra);
      expect(isAcceptableKey(raw)).toBe(false);
      expect(verdict(bytesToHex(raw), utf8('m'), new Uint8Array(64))).toBe(false);
    }
  });

  it('on keys and R with a torsion component (cofactorless equation)', () => {
    const torsion = ed25519.Point.fromHex(smallOrderKeys[10] as string, true);
    expect(torsion.isSmallOrder()).toBe(true);
    const secret = 12345678901234567890n;
    const mixed = ed25519.Point.BASE.multiply(secret).add(torsion);
    const r = 987654321n;
    const verdicts = new Set<boolean>();
    for (let i = 0; i < 24; i++) {
      const rPoint = ed25519.Point.BASE.multiply(r + BigInt(i));
      const message = utf8(`torsion ${i}`);
      const challenge = sha512Challenge(rPoint.toBytes(), mixed.toBytes(), message);
      const s = (r + BigInt(i) + challenge * secret) % L;
      const signature = concatBytes(rPoint.toBytes(), littleEndian(s));
      verdicts.add(verdict(mixed.toHex(), message, signature));
    }
    expect(verdicts).toEqual(new Set([true, false])); // Valid exactly when 8 divides the challenge.
  });

  it('on an R of small order, which is refused even where the equation holds', () => {
    const torsion = ed25519.Point.fromHex(smallOrderKeys[10] as string, true);
    const secret = 12345678901234567890n;
    const mixed = ed25519.Point.BASE.multiply(secret).add(torsion);
    const verdicts = new Set<boolean>();
    for (const small of smallOrderKeys)
      for (let i = 0; i < 8; i++) {
        const message = utf8(`small ${i}`);
        // [S]B − [k]A is then a multiple of the torsion point: R itself for one challenge in eight.
        const challenge = sha512Challenge(hex(small), mixed.toBytes(), message);
        const s = (challenge * secret) % L;
        const signature = concatBytes(hex(small), littleEndian(s));
        verdicts.add(verdict(mixed.toHex(), message, signature));
      }
    expect(verdicts).toEqual(new Set([false]));
  });
});

describe('signers', () => {
  const signer = createSigner(new Uint8Array(32).fill(7));

  it('sign for one domain and account only', () => {
    const signature = signer.sign('seele/order/1', utf8('message'));
    const check = (publicKey: string, domain: string, message: string) => {
      const native = verifySignature(publicKey, domain, utf8(message), signature);
      expect(verifySignatureReference(publicKey, domain, utf8(message), signature)).toBe(native);
      return native;
    };
    expect(check(signer.publicKey, 'seele/order/1', 'message')).toBe(true);
    expect(check(signer.publicKey, 'seele/order/2', 'message')).toBe(false);
    expect(check(signer.publicKey, 'seele/order/1', 'massage')).toBe(false);
    expect(check(createSigner(new Uint8Array(32)).publicKey, 'seele/order/1', 'message')).toBe(
      false,
    );
    expect(check(`02${signer.publicKey.slice(2)}`, 'seele/order/1', 'message')).toBe(false);
    expect(verifyForeign(signer.publicKey, utf8('seele/order/1\0message'), signature)).toBe(false);
  });

  it('refuse words that are no domain, and foreign bytes that look like one', () => {
    for (const domain of ['', 'order', 'seele/', 'seele/Order/1', 'seele/a\0b'])
      expect(() => signer.sign(domain, utf8(''))).toThrow(
        expect.objectContaining({ code: 'CRYPTO_DOMAIN_INVALID' }),
      );
    expect(() => signer.signForeign(utf8('seele/order/1\0x'))).toThrow(
      expect.objectContaining({ code: 'CRYPTO_DOMAIN_INVALID' }),
    );
  });

  it('have accounts that differ from contracts and from each other', () => {
    expect(signer.account).toBe(accountOf(signer.publicKey));
    expect(contractAccount('token')).not.toBe(contractAccount('orders'));
    expect(() => accountOf('01ab')).toThrow(
      expect.objectContaining({ code: 'CRYPTO_KEY_INVALID' }),
    );
    expect(() => createSigner(new Uint8Array(31))).toThrow(
      expect.objectContaining({ code: 'CRYPTO_KEY_INVALID' }),
    );
  });
});

describe('keyed-hash signatures for simulations', () => {
  const secret = utf8('simulation');
  const signer = keyedHashSigner(secret, new Uint8Array(32));
  const verify = keyedHashVerifier(secret);

  it('behave like signatures and are refused by real verifiers', () => {
    const signature = signer.sign('seele/order/1', utf8('m'));
    expect(verify(signer.publicKey, 'seele/order/1', utf8('m'), signature)).toBe(true);
    expect(verify(signer.publicKey, 'seele/order/2', utf8('m'), signature)).toBe(false);
    expect(verify(signer.publicKey, 'seele/order/1', utf8('n'), signature)).toBe(false);
    expect(
      keyedHashVerifier(utf8('x'))(signer.publicKey, 'seele/order/1', utf8('m'), signature),
    ).toBe(false);
    expect(verifySignature(signer.publicKey, 'seele/order/1', utf8('m'), signature)).toBe(false);
    const real = createSigner(new Uint8Array(32));
    expect(
      verify(real.publicKey, 'seele/order/1', utf8('m'), real.sign('seele/order/1', utf8('m'))),
    ).toBe(false);
  });
});

describe('the key cache', () => {
  it('never grows over its cap and keeps what is used', () => {
    const cache = new GenerationCache<number>(10);
    cache.set('kept', 1);
    for (let i = 0; i < 1000; i++) {
      cache.set(`k${i}`, i);
      expect(cache.get('kept')).toBe(1);
      expect(cache.size).toBeLessThanOrEqual(10);
    }
    expect(cache.get('k0')).toBeUndefined();
  });
});
