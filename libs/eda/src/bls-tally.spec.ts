import { aggregateWeight, verifyAggregate } from './aggregate.ts';
import { tallyOf } from './bls-tally.ts';
import { aggregateBls, createBlsSigner } from './bls.ts';
import { signedBytes, signingDomain } from './messages.ts';
import type { BlsVotes } from './types.ts';
import { createValidatorSet } from './validator-set.ts';

const signers = Array.from({ length: 5 }, (_, i) =>
  createBlsSigner(new Uint8Array(32).fill(i + 1)),
);
const set = createValidatorSet(
  signers.map(({ publicKey: bls }, i) => ({
    publicKey: `01${(i + 1).toString(16).padStart(64, '0')}`,
    weight: i + 1,
    bls,
  })),
  'classic',
);
const ack = { chain: 'cc'.repeat(32), era: 3, author: 1, seq: 2, hash: 'ab'.repeat(32) };
const signatureOf = (from: number, message = ack) =>
  (signers[from] as (typeof signers)[number]).sign(
    signingDomain('ack'),
    signedBytes('ack', message),
  );

function tally() {
  const checks = { count: 0 };
  const verify: BlsVotes['verify'] = (...args) => {
    checks.count += 1;
    return verifyAggregate(...args);
  };
  const bls: BlsVotes = {
    signerOf: () => undefined,
    add: aggregateBls,
    verify,
  };
  return { checks, votes: tallyOf(bls, set, 'ack', ack) };
}

test('good signatures are checked once, as a sum, when they weigh enough', () => {
  const { checks, votes } = tally();
  for (const from of [0, 1, 3]) votes.add(from, signatureOf(from));
  expect(votes.aggregate(8)).toBeUndefined();
  expect(checks.count).toBe(0);
  votes.add(4, signatureOf(4));
  const sum = votes.aggregate(8);
  expect(checks.count).toBe(1);
  expect(sum && aggregateWeight(set, 'ack', ack, sum)).toBe(1 + 2 + 4 + 5);
  expect(votes.aggregate(8)).toBe(sum);
});

test('forged ones are found and dropped; the genuine one takes the place of a forgery', () => {
  const { votes } = tally();
  const forged = signatureOf(4, { ...ack, seq: 3 });
  votes.add(4, forged);
  votes.add(3, new Uint8Array(96));
  for (const from of [0, 1]) votes.add(from, signatureOf(from));
  expect(votes.aggregate(8)).toBeUndefined();
  expect(votes.weight).toBe(3);
  votes.add(4, forged);
  votes.add(4, signatureOf(4));
  votes.add(4, forged);
  const sum = votes.aggregate(8);
  expect(sum && aggregateWeight(set, 'ack', ack, sum)).toBe(8);
});

/** A point of the curve outside the subgroup of prime order: an x near 0 that has a y. */
function pointOutside(): Uint8Array {
  for (let x = 1; x < 256; x++) {
    const point = new Uint8Array(96);
    point[0] = 0x80;
    point[95] = x;
    try {
      aggregateBls([point]);
      return point;
    } catch {
      // No point has this x.
    }
  }
  throw new Error('none found');
}

test('a point outside the subgroup is added up unseen, and then found and dropped', () => {
  const outside = pointOutside();
  const { votes } = tally();
  votes.add(3, outside);
  for (const from of [0, 1, 4]) votes.add(from, signatureOf(from));
  const sum = votes.aggregate(8);
  expect(sum && aggregateWeight(set, 'ack', ack, sum)).toBe(1 + 2 + 5);
  expect(verifyAggregate([signers[3]?.publicKey ?? ''], 'ack', ack, outside)).toBe(false);
  const both = { ...sum, signers: Uint8Array.of(0b11011) } as typeof sum;
  expect(both && aggregateWeight(set, 'ack', ack, both)).toBe(0);
});

test('who is in no set, or has no key in it, weighs nothing', () => {
  const { votes } = tally();
  votes.add(5, signatureOf(0));
  expect(votes.weight).toBe(0);
});
