import { bls12_381 } from '@noble/curves/bls12-381.js';
import blst from '@chainsafe/blst';
import { separated } from '#libs/crypto';
import { bytesToHex, hexToBytes, utf8 } from '#libs/kernel';
import fc from 'fast-check';
import { aggregateVotes, aggregateWeight } from './aggregate.ts';
import {
  aggregateBls,
  createBlsSigner,
  deriveBlsSigner,
  provePossession,
  verifyBls,
  verifyPossession,
} from './bls.ts';
import { signedBytes, signingDomain } from './messages.ts';
import { createValidatorSet } from './validator-set.ts';

const DOMAIN = 'seele/test/1';
const SUITE = 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_';
const hex = (text: string) => {
  const bytes = hexToBytes(text);
  if (!bytes) throw new Error(text);
  return bytes;
};
const signers = Array.from({ length: 9 }, (_, i) =>
  createBlsSigner(new Uint8Array(32).fill(i + 1)),
);
const signer = (index: number) => signers[index] as (typeof signers)[number];

test('public key of the suite, as in the Ethereum consensus tests', () => {
  const secret = blst.SecretKey.fromHex(
    '0x328388aff0d4a5b7dc9205abd374e7e98f3cd9f3418edb4eafda5fb16473d216',
  );
  expect(bytesToHex(secret.toPublicKey().toBytes())).toBe(
    'b53d21a4cfd562c469cc81514d4ce5a6b577d8403d32a394dc265dd190b47fa9f829fdd7963afdf972e5e77854051f6f',
  );
});

test('a validator’s key follows from its seed, and is not the key of the seed itself', () => {
  const seed = new Uint8Array(32).fill(1);
  expect(deriveBlsSigner(seed).publicKey).toBe(deriveBlsSigner(seed.slice()).publicKey);
  expect(deriveBlsSigner(seed).publicKey).not.toBe(createBlsSigner(seed).publicKey);
});

test('agrees with @noble/curves, both ways', () => {
  const long = bls12_381.longSignatures;
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ maxLength: 100 }),
      (seed, message) => {
        const secret = blst.SecretKey.fromKeygen(seed);
        const own = createBlsSigner(seed);
        expect(bytesToHex(long.getPublicKey(secret.toBytes()).toBytes())).toBe(own.publicKey);
        const point = long.hash(separated(DOMAIN, message), SUITE);
        const theirs = long.sign(point, secret.toBytes());
        expect(bytesToHex(theirs.toBytes())).toBe(bytesToHex(own.sign(DOMAIN, message)));
        expect(long.verify(own.sign(DOMAIN, message), point, hex(own.publicKey))).toBe(true);
      },
    ),
    { numRuns: 5 },
  );
});

test('a sum of signatures is that of exactly its signers over exactly that message', () => {
  const message = utf8('cut');
  const some = signers.slice(0, 3);
  const sum = aggregateBls(some.map((one) => one.sign(DOMAIN, message)));
  const keys = some.map(({ publicKey }) => publicKey);
  expect(verifyBls(keys, DOMAIN, message, sum)).toBe(true);
  expect(verifyBls(keys.slice(1), DOMAIN, message, sum)).toBe(false);
  expect(verifyBls([...keys, signer(4).publicKey], DOMAIN, message, sum)).toBe(false);
  expect(verifyBls(keys, DOMAIN, utf8('other'), sum)).toBe(false);
  expect(verifyBls(keys, 'seele/test/2', message, sum)).toBe(false);
  expect(verifyBls([], DOMAIN, message, sum)).toBe(false);
});

test('possession: a key made to cancel another one has no proof', () => {
  expect(verifyPossession(signer(0).publicKey, provePossession(signer(0)))).toBe(true);
  expect(verifyPossession(signer(0).publicKey, provePossession(signer(1)))).toBe(false);
  // rogue = own − victim: the sum with the victim verifies by the liar's signature alone.
  const { Point } = bls12_381.G1;
  const rogue = Point.fromHex(signer(1).publicKey).subtract(Point.fromHex(signer(0).publicKey));
  const rogueKey = bytesToHex(rogue.toBytes());
  const message = utf8('forged');
  const forged = signer(1).sign(DOMAIN, message);
  expect(verifyBls([signer(0).publicKey, rogueKey], DOMAIN, message, forged)).toBe(true);
  expect(verifyPossession(rogueKey, provePossession(signer(1)))).toBe(false);
});

test('points outside the subgroup, the neutral element and broken bytes are no keys, no signatures', () => {
  const message = utf8('m');
  const good = signer(0).sign(DOMAIN, message);
  const infinity = `c0${'00'.repeat(47)}`;
  expect(verifyBls([infinity], DOMAIN, message, good)).toBe(false);
  // x = 4 is on the curve of G1 (y² = 68), outside the subgroup of prime order.
  const outside = `80${'00'.repeat(46)}04`;
  expect(() => bls12_381.G1.Point.fromHex(outside).assertValidity()).toThrow();
  expect(verifyBls([outside], DOMAIN, message, good)).toBe(false);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      expect(verifyBls([bytesToHex(bytes)], DOMAIN, message, good)).toBe(false);
      expect(verifyBls([signer(0).publicKey], DOMAIN, message, bytes)).toBe(false);
    }),
    { numRuns: 50 },
  );
  expect(() => aggregateBls([good, new Uint8Array(96)])).toThrow(/BLS/);
  expect(() => createBlsSigner(new Uint8Array(31))).toThrow(/31/);
});

test('aggregated attestation: weight by the given set, forged bitmaps weigh nothing', () => {
  const set = createValidatorSet(
    signers.map(({ publicKey: bls }, i) => ({
      publicKey: `01${(i + 1).toString(16).padStart(64, '0')}`,
      weight: i + 1,
      bls,
    })),
    'classic',
  );
  const attest = { chain: 'cc'.repeat(32), era: 3, slot: 9, hash: 'ab'.repeat(32) };
  const votes = [0, 2, 8].map((from) => ({
    from,
    signature: signer(from).sign(signingDomain('attest'), signedBytes('attest', attest)),
  }));
  const aggregate = aggregateVotes(set, votes);
  expect(aggregate.signers).toEqual(Uint8Array.of(0b101, 1));
  expect(aggregateWeight(set, 'attest', attest, aggregate)).toBe(1 + 3 + 9);
  expect(aggregateWeight(set, 'attest', { ...attest, slot: 10 }, aggregate)).toBe(0);
  expect(aggregateWeight(set, 'commit', { ...attest, view: 0 }, aggregate)).toBe(0);
  for (const bits of [[0b111, 1], [0b100, 1], [0b101], [0b101, 3], [0b101, 1, 0]])
    expect(
      aggregateWeight(set, 'attest', attest, { ...aggregate, signers: Uint8Array.from(bits) }),
    ).toBe(0);
  expect(() => aggregateVotes(set, [...votes, ...votes])).toThrow(/twice/);
  const bare = createValidatorSet(
    set.validators.map(({ publicKey, weight }) => ({ publicKey, weight })),
    'classic',
  );
  expect(bare.hash).not.toBe(set.hash);
  expect(aggregateWeight(bare, 'attest', attest, aggregate)).toBe(0);
});
