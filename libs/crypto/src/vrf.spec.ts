import fc from 'fast-check';
import { ed25519 } from '@noble/curves/ed25519.js';
import { type Bytes, bytesToHex, concatBytes, hexToBytes, utf8 } from '#libs/kernel';
import { keyPairFromSeed } from './accounts.ts';
import { hkdfSha256 } from './hkdf.ts';
import { nativePoints } from './vrf-points.ts';
import {
  VRF_PROOF_BYTES,
  vrfProve,
  vrfProveReference,
  vrfVerify,
  vrfVerifyReference,
} from './vrf.ts';

const hex = (text: string): Bytes => hexToBytes(text) as Bytes;

describe('RFC 9381 appendix B.3: ECVRF-EDWARDS25519-SHA512-TAI', () => {
  const vectors = [
    {
      name: 'example 16, empty input',
      seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      key: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      alpha: '',
      proof:
        '8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f26f8a57ccaed74ee1b190bed1f479d9727d2d0f9b005a6e456a35d4fb0daab1268a1b0db10836d9826a528ca76567805',
      output:
        '90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff66b71dda49d2de59d03450451af026798e8f81cd2e333de5cdf4f3e140fdd8ae',
    },
    {
      name: 'example 17, one byte, second counter',
      seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      key: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      alpha: '72',
      proof:
        'f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed5933bf0864a62558b3ed7f2fea45c92a465301b3bbf5e3e54ddf2d935be3b67926da3ef39226bbc355bdc9850112c8f4b02',
      output:
        'eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb5e33821bc613efb94db5e5b54c70a848a0bef4553a41befc57663b56373a5031',
    },
    {
      name: 'example 18, two bytes',
      seed: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
      key: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      alpha: 'af82',
      proof:
        '9bc0f79119cc5604bf02d23b4caede71393cedfbb191434dd016d30177ccbf8096bb474e53895c362d8628ee9f9ea3c0e52c7a5c691b6c18c9979866568add7a2d41b00b05081ed0f58ee5e31b3a970e',
      output:
        '645427e5d00c62a23fb703732fa5d892940935942101e456ecca7bb217c61c452118fec1219202a0edcf038bb6373241578be7217ba85a2687f7a0310b2df19f',
    },
  ];

  test.each(vectors)('$name', ({ seed, key, alpha, proof, output }) => {
    const made = vrfProve(hex(seed), hex(alpha));
    expect(bytesToHex(made.proof)).toBe(proof);
    expect(bytesToHex(made.output)).toBe(output);
    const checked = vrfVerify(`01${key}`, hex(alpha), hex(proof));
    expect(checked && bytesToHex(checked)).toBe(output);
    expect(vrfVerify(`01${key}`, concatBytes(hex(alpha), hex('00')), hex(proof))).toBeUndefined();
  });
});

test('the native path and the reference give the same bytes', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ maxLength: 40 }),
      (seed, alpha) => {
        const made = vrfProve(seed, alpha);
        expect(made).toEqual(vrfProveReference(seed, alpha));
        const { publicKey } = keyPairFromSeed(seed);
        expect(vrfVerify(publicKey, alpha, made.proof)).toEqual(made.output);
        expect(vrfVerifyReference(publicKey, alpha, made.proof)).toEqual(made.output);
      },
    ),
    { numRuns: 30 },
  );
});

(nativePoints ? test : test.skip)(
  'libsodium reads as a point what the reference reads, and nothing else',
  () => {
    let points = 0;
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (encoded) => {
        let isPoint = true;
        try {
          ed25519.Point.fromBytes(encoded, false);
        } catch {
          isPoint = false;
        }
        let found: boolean | undefined;
        try {
          found = nativePoints?.isPoint(encoded);
        } catch {
          // Not reduced, or of small order: the reference alone says.
          return;
        }
        expect(found).toBe(isPoint);
        if (isPoint) points += 1;
      }),
      { numRuns: 300 },
    );
    expect(points).toBeGreaterThan(50);
  },
);

describe('proofs that do not hold', () => {
  const pair = keyPairFromSeed(new Uint8Array(32).fill(7));
  const alpha = utf8('beacon');
  const { proof } = vrfProve(pair.seed, alpha);

  test('one changed bit anywhere', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: VRF_PROOF_BYTES * 8 - 1 }), (bit) => {
        const changed = proof.slice();
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
        expect(vrfVerify(pair.publicKey, alpha, changed)).toBeUndefined();
      }),
      { numRuns: 40 },
    );
  });

  test('any bytes: an answer, never a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.string({ maxLength: 70 }), (bytes, key) => {
        expect(vrfVerify(pair.publicKey, alpha, bytes)).toBeUndefined();
        expect(vrfVerify(key, alpha, proof)).toBeUndefined();
      }),
      { numRuns: 50 },
    );
  });

  test('a second response for the same challenge (S + L)', () => {
    const s = BigInt(`0x${bytesToHex(proof.slice(48).reverse())}`) + ed25519.Point.Fn.ORDER;
    const second = hex(s.toString(16).padStart(64, '0')).slice().reverse();
    expect(
      vrfVerify(pair.publicKey, alpha, concatBytes(proof.slice(0, 48), second)),
    ).toBeUndefined();
  });
});

test('RFC 5869 test case 1', () => {
  const output = hkdfSha256(
    hex('0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b'),
    hex('000102030405060708090a0b0c'),
    hex('f0f1f2f3f4f5f6f7f8f9'),
    42,
  );
  expect(bytesToHex(output)).toBe(
    '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  );
  expect(() => hkdfSha256(hex('00'), hex(''), hex(''), 8161)).toThrow(/8161/);
});
