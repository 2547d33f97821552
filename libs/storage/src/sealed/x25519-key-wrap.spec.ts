import { bytesToHex, concatBytes, createSeededRandomness, hexToBytes, utf8 } from '#libs/kernel';
import type { Bytes } from '#libs/kernel';

import { hpkeOpen, hpkeSeal } from './hpke.ts';
import { describeKeyWrap } from './key-wrap.conformance.ts';
import {
  createX25519KeyUnwrap,
  createX25519KeyWrap,
  encryptionKeyPairFromSeed,
  formatEncryptionKey,
  parseEncryptionKey,
} from './x25519-key-wrap.ts';

const hex = (text: string) => hexToBytes(text) as Bytes;
const randomness = createSeededRandomness(1);

describeKeyWrap('X25519', async () => {
  const [mine, other] = [1, 2].map((seed) =>
    encryptionKeyPairFromSeed(new Uint8Array(32).fill(seed)),
  ) as [ReturnType<typeof encryptionKeyPairFromSeed>, ReturnType<typeof encryptionKeyPairFromSeed>];
  return {
    wrap: createX25519KeyWrap(mine.publicKey, randomness),
    reader: createX25519KeyUnwrap(mine.secret),
    stranger: createX25519KeyUnwrap(other.secret),
  };
});

describe('HPKE', () => {
  // RFC 9180 A.1.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, mode base, sequence 0.
  const ephemeral = hex('52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736');
  const secret = hex('4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8');
  const recipient = hex('3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d');
  const message = hex('4265617574792069732074727574682c20747275746820626561757479');
  const context = {
    info: hex('4f6465206f6e2061204772656369616e2055726e'),
    aad: hex('436f756e742d30'),
    aead: 1,
  } as const;
  const expected = hex(
    '37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431' +
      'f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9' +
      '6d8770ac83d07bea87e13c512a',
  );

  it('RFC 9180 A.1.1 seals and opens its vector', () => {
    const sealed = hpkeSeal(recipient, message, context, { bytes: () => ephemeral });
    expect(bytesToHex(sealed)).toBe(bytesToHex(expected));
    expect(hpkeOpen(secret, expected, context)).toEqual(message);
    expect(hpkeOpen(secret, expected, { ...context, aad: utf8('other') })).toBeUndefined();
  });

  it('RFC 7748 6.1: a point of low order is refused, by the one and the other', () => {
    const low = new Uint8Array(32);
    low[0] = 1;
    expect(() => hpkeSeal(low, message, { info: low }, randomness)).toThrow(/not a usable X25519/);
    expect(() => hpkeSeal(low.subarray(1), message, { info: low }, randomness)).toThrow(/usable/);
    expect(hpkeOpen(secret, concatBytes(low, new Uint8Array(48)), context)).toBeUndefined();
  });
});

describe('encryption keys', () => {
  it('follow from the seed, and read as they are written', () => {
    const { publicKey } = encryptionKeyPairFromSeed(new Uint8Array(32).fill(1));
    expect(parseEncryptionKey(formatEncryptionKey(publicKey))).toEqual(publicKey);
    expect(encryptionKeyPairFromSeed(new Uint8Array(32).fill(1)).publicKey).toEqual(publicKey);
  });

  it.each(['', 'x25519:', `x25519:${'0'.repeat(63)}`, `X25519:${'0'.repeat(64)}`, '0'.repeat(64)])(
    'refuses %j',
    (text) => expect(() => parseEncryptionKey(text)).toThrow(/not an encryption key/),
  );
});
