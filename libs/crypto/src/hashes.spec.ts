import { bytesToHex, utf8 } from '#libs/kernel';
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { hashOf, sha256, sha256Hex } from './hashes.ts';

describe('SHA-256', () => {
  it('gives the FIPS 180-4 answers', () => {
    expect(sha256Hex(utf8('abc'))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    expect(sha256Hex()).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  it('agrees with an independent implementation, as bytes and as hex, in one part or several', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), (bytes, cut) => {
        const expected = nobleSha256(bytes);
        expect(sha256(bytes)).toEqual(expected);
        expect(sha256Hex(bytes.slice(0, cut), bytes.slice(cut))).toBe(bytesToHex(expected));
      }),
      { numRuns: 50 },
    );
  });

  it('hashes the same bytes to different values in different domains', () => {
    expect(hashOf('seele/a/1', utf8('x'))).not.toBe(hashOf('seele/b/1', utf8('x')));
    expect(hashOf('seele/a/1', utf8('x'))).toBe(sha256Hex(utf8('seele/a/1\0x')));
  });
});
