/** What a validator of a large set believes: real BLS signatures, and everything near them that is false. */
import { createSigner, hashOf } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { aggregateVotes } from './aggregate.ts';
import { createAuthenticator } from './authenticator.ts';
import { type BlsSigner, createBlsSigner } from './bls.ts';
import { isFinalCut, cutHeadOf } from './certified-cuts.ts';
import { cutHash } from './cuts.ts';
import {
  type Body,
  type EdaMessage,
  type SignedKind,
  type SignedMessages,
  decodeMessage,
  encodeMessage,
  signedBytes,
  signingDomain,
} from './messages.ts';
import { EdaNode } from './node.ts';
import { DEFAULT_PARAMETERS } from './types.ts';
import { createValidatorSet } from './validator-set.ts';

const GENESIS_US = 1_900_000_000_000_000;
const CHAIN = 'cc'.repeat(32);
const ROOTS = {
  stateRoot: '11'.repeat(32),
  receiptsRoot: '22'.repeat(32),
  outboxRoot: '33'.repeat(32),
};
const COUNT = 65;
const payloadRoot = (payload: Uint8Array) => hashOf('seele/eda-payload/1', payload);
const seedOf = (index: number) => new Uint8Array(32).fill(index + 1);
const blsSigners = Array.from({ length: COUNT }, (_, i) => createBlsSigner(seedOf(i)));
const signer = createSigner(seedOf(0));
const set = createValidatorSet(
  blsSigners.map(({ publicKey: bls }, i) => ({
    publicKey: i === 0 ? signer.publicKey : createSigner(seedOf(i)).publicKey,
    weight: 1,
    bls,
  })),
  'classic',
);
const era = Math.floor(GENESIS_US / DEFAULT_PARAMETERS.eraUs);

function createNode(): EdaNode {
  const bls = blsSigners[0] as BlsSigner;
  return new EdaNode(
    {
      chain: CHAIN,
      publicKey: signer.publicKey,
      auth: createAuthenticator({ signer, seed: seedOf(0), bls: [bls], payloadRoot }),
      parameters: DEFAULT_PARAMETERS,
      genesisTimeUs: GENESIS_US,
      genesisSet: set,
      genesisRoots: ROOTS,
    },
    GENESIS_US,
  );
}

/** Signed by the first `count` validators. */
function signedBy<K extends SignedKind>(count: number, kind: K, message: SignedMessages[K]) {
  const bytes = signedBytes(kind, message);
  const votes = blsSigners
    .slice(0, count)
    .map((one, from) => ({ from, signature: one.sign(signingDomain(kind), bytes) }));
  return aggregateVotes(set, votes);
}

/** Kinds of effects; the message goes through its bytes first. */
const effectsOf = (node: EdaNode, message: EdaMessage) =>
  node
    .handle(
      { kind: 'message', peer: '', message: decodeMessage(encodeMessage(message)) },
      GENESIS_US + 1000,
    )
    .map(({ kind }) => kind);

test('the set is large only when every validator has a BLS key', () => {
  expect(set.isLarge).toBe(true);
  const bare = set.validators.map((one, i) =>
    i === 7 ? { publicKey: one.publicKey, weight: 1 } : one,
  );
  expect(createValidatorSet(bare, 'classic').isLarge).toBe(false);
  expect(createValidatorSet(set.validators.slice(0, 64), 'classic').isLarge).toBe(false);
});

test('available: weight Q of this set, this block, this chain, once', () => {
  const ack = { chain: CHAIN, era, author: 4, seq: 1, hash: 'ab'.repeat(32) };
  const node = createNode();
  const says = (message: typeof ack, count: number, signed = message) =>
    effectsOf(node, {
      kind: 'available',
      ack: message,
      aggregate: signedBy(count, 'ack', signed),
    });
  expect(says(ack, set.quorum - 1)).toEqual([]);
  expect(says(ack, set.quorum, { ...ack, seq: 2 })).toEqual([]);
  expect(says({ ...ack, chain: 'dd'.repeat(32) }, set.quorum)).toEqual([]);
  expect(says({ ...ack, era: era + 1 }, set.quorum)).toEqual([]);
  expect(says({ ...ack, seq: 9 }, set.quorum)).toEqual([]);
  const padded = signedBy(set.quorum, 'ack', ack);
  const more = { ...padded, signers: padded.signers.map(() => 255) };
  expect(effectsOf(node, { kind: 'available', ack, aggregate: more })).toEqual([]);
  expect(says(ack, set.quorum)).toEqual(['available']);
  expect(says(ack, set.quorum)).toEqual([]);
});

const body: Body = {
  chain: CHAIN,
  era,
  slot: 1,
  prevHash: CHAIN,
  timeUs: GENESIS_US + 500,
  entries: [],
  ...ROOTS,
  setHash: set.hash,
  nextSetHash: set.hash,
  parentHeader: null,
  creator: 0,
  vrf: utf8('proof'),
};

test('final: a sum of COMMITs of weight Q; single votes are of smaller sets', () => {
  const hash = cutHash(body);
  const vote = { chain: CHAIN, era, slot: 1, view: 2, hash };
  const sum = (count: number, message = vote) => ({
    view: 2,
    hash,
    votes: [],
    aggregate: signedBy(count, 'commit', message),
  });
  const whole = sum(set.quorum);
  const votes = blsSigners.map((one, from) => ({
    from,
    signature: one.sign(signingDomain('commit'), signedBytes('commit', vote)),
  }));
  const trusted = { chain: CHAIN, era, set };
  const neverAsked = () => {
    throw new Error('no ed25519 in large sets');
  };
  for (const certificate of [
    sum(set.quorum - 1),
    sum(set.quorum, { ...vote, view: 3 }),
    { view: 2, hash, votes },
    { ...whole, votes },
  ]) {
    expect(effectsOf(createNode(), { kind: 'final', body, certificate })).toEqual([]);
    const certified = { kind: 'certified', what: 'commit', chain: CHAIN, era, slot: 1 } as const;
    expect(effectsOf(createNode(), { ...certified, certificate })).toEqual([]);
    expect(isFinalCut(trusted, cutHeadOf(body), certificate, neverAsked)).toBe(false);
  }
  expect(effectsOf(createNode(), { kind: 'final', body, certificate: whole })).toContain('decided');
  expect(isFinalCut(trusted, cutHeadOf(body), whole, neverAsked)).toBe(true);
});

test('a leader that lies about votes moves nobody: sums of votes never cast, of other votes, of too few', () => {
  const hash = cutHash(body);
  const vote = { chain: CHAIN, era, slot: 1, view: 0, hash };
  const { quorum } = set;
  const certified = (aggregate: ReturnType<typeof signedBy>): EdaMessage => {
    const certificate = { view: 0, hash, votes: [], aggregate };
    return { kind: 'certified', what: 'prepare', chain: CHAIN, era, slot: 1, certificate };
  };
  const cast = signedBy(quorum - 1, 'prepare', vote);
  // One more is named than has voted.
  const named = cast.signers.slice();
  const next = quorum - 1;
  named[next >> 3] = (named[next >> 3] as number) | (1 << (next & 7));
  const everybody = cast.signers.map(() => 255);
  const lies = {
    'too few': cast,
    'one who did not vote': { ...cast, signers: named },
    'everybody and more': { ...cast, signers: everybody },
    'COMMITs as PREPAREs': signedBy(quorum, 'commit', vote),
    'votes for another cut': signedBy(quorum, 'prepare', { ...vote, hash: 'ab'.repeat(32) }),
    'votes of another view': signedBy(quorum, 'prepare', { ...vote, view: 1 }),
    'votes of another slot': signedBy(quorum, 'prepare', { ...vote, slot: 2 }),
    'no signature': { ...cast, signers: named, signature: new Uint8Array(96) },
  };
  const node = createNode();
  for (const [what, aggregate] of Object.entries(lies))
    expect([what, effectsOf(node, certified(aggregate))]).toEqual([what, []]);
  // Nothing of it is in the way of what is true.
  expect(effectsOf(node, certified(signedBy(quorum, 'prepare', vote)))).toContain('journal');
});

test('in a set that votes by ed25519 a sum is no certificate', () => {
  const small = createValidatorSet(
    set.validators.slice(0, 4).map(({ publicKey, bls }) => ({ publicKey, weight: 1, bls })),
    'classic',
  );
  const ofSmall = { ...body, setHash: small.hash, nextSetHash: small.hash };
  const hash = cutHash(ofSmall);
  const vote = { chain: CHAIN, era, slot: 1, view: 0, hash };
  const aggregate = { ...signedBy(4, 'commit', vote), signers: Uint8Array.of(15) };
  const certificate = { view: 0, hash, votes: [], aggregate };
  const trusted = { chain: CHAIN, era, set: small };
  expect(isFinalCut(trusted, cutHeadOf(ofSmall), certificate, () => true)).toBe(false);
});
