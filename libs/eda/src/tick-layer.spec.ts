/** What is believed because of the link it came over, and what only because of its signature. */
import { createSigner, hashOf, sha256 } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { createAuthenticator } from './authenticator.ts';
import { type MessageOf, type Tick, signedBytes, signingDomain } from './messages.ts';
import { EdaNode } from './node.ts';
import { DEFAULT_PARAMETERS, type EdaEffect } from './types.ts';
import { createValidatorSet } from './validator-set.ts';

const GENESIS_US = 1_900_000_000_000_000;
const { deltaUs } = DEFAULT_PARAMETERS;
const CHAIN = 'cc'.repeat(32);
const ROOT = '11'.repeat(32);
const signers = Array.from({ length: 4 }, (_, i) => createSigner(sha256(utf8(`tick ${i}`))));
const set = createValidatorSet(
  signers.map(({ publicKey }) => ({ publicKey, weight: 1 })),
  'classic',
);
const keyOf = (from: number) => signers[from]?.publicKey ?? '';

/** Validator 0 of four; how many ticks it checked. */
function createBench() {
  const [signer] = signers;
  if (!signer) throw new Error('no signer');
  const seed = sha256(utf8('tick 0'));
  const payloadRoot = (payload: Uint8Array) => hashOf('seele/eda-payload/1', payload);
  const auth = createAuthenticator({ signer, seed, payloadRoot });
  let checks = 0;
  const verify: typeof auth.verify = (...statement) => {
    if (statement[1] === 'tick') checks++;
    return auth.verify(...statement);
  };
  const node = new EdaNode(
    {
      chain: CHAIN,
      publicKey: signer.publicKey,
      auth: { ...auth, verify },
      parameters: DEFAULT_PARAMETERS,
      genesisTimeUs: GENESIS_US,
      genesisSet: set,
      genesisRoots: { stateRoot: ROOT, receiptsRoot: ROOT, outboxRoot: ROOT },
    },
    GENESIS_US,
  );
  let nowUs = GENESIS_US;
  return {
    checks: () => checks,
    hear: (over: number, message: MessageOf<'tick'>) =>
      node.handle({ kind: 'message', peer: keyOf(over), message }, nowUs),
    /** Acknowledgements that count of the block of an author. */
    votesFor: (author: number) => {
      for (const { name, acks } of node.positions.open())
        if (name.author === author) return acks.filter((ack) => ack !== undefined).length;
      return 0;
    },
    isMuted: (from: number) => node.positions.burned.has(from),
    /** The next ticks of this node. */
    tick(count: number): EdaEffect[] {
      const effects: EdaEffect[] = [];
      for (let i = 0; i < count; i++) {
        nowUs += deltaUs;
        effects.push(...node.handle({ kind: 'wake' }, nowUs));
      }
      return effects;
    },
  };
}

const HASH = 'ab'.repeat(32);
function tickOf(from: number, k: number, isSigned: boolean, x0 = k * deltaUs) {
  const entries = [
    { era: Math.floor(GENESIS_US / 2 ** 32), author: from, seq: 1, hash: HASH, x0, x: x0 },
  ];
  const base = GENESIS_US / deltaUs;
  const message: Tick = {
    ...{ chain: CHAIN, era: Math.floor(GENESIS_US / 2 ** 32), k: base + k },
    ...{ axis: GENESIS_US + k * deltaUs, entries },
  };
  const signature = isSigned
    ? (signers[from]?.sign(signingDomain('tick'), signedBytes('tick', message)) as Uint8Array)
    : new Uint8Array(64).fill(k);
  return { kind: 'tick', from, message, signature } as const;
}

const evidenceIn = (effects: readonly EdaEffect[]) =>
  effects.filter(({ kind }) => kind === 'evidence');

test('what a validator says over its own link counts without a check, told by others only with one', () => {
  const { hear, checks, votesFor } = createBench();
  hear(1, tickOf(1, 1, true));
  expect([checks(), votesFor(1)]).toEqual([0, 1]);
  hear(3, tickOf(2, 1, false));
  expect([checks(), votesFor(2)]).toEqual([1, 0]);
  hear(3, tickOf(2, 1, true));
  expect([checks(), votesFor(2)]).toEqual([2, 1]);
});

test('every tick that is passed on was checked, and who does not sign its ticks is soon not heard', () => {
  const { hear, tick, isMuted } = createBench();
  const sent: EdaEffect[] = [];
  for (let k = 1; k <= 40; k++) {
    hear(1, tickOf(1, k, true, deltaUs));
    hear(2, tickOf(2, k, false, deltaUs));
    sent.push(...tick(1));
  }
  const about = sent.flatMap((effect) =>
    effect.kind === 'send' && effect.message.kind === 'tick' ? [effect.message.from] : [],
  );
  expect(new Set(about)).toEqual(new Set([1]));
  expect([isMuted(1), isMuted(2)]).toEqual([false, true]);
  expect(evidenceIn(sent)).toEqual([]);
});

test('two ticks of one number are evidence only if others can check both', () => {
  const honest = createBench();
  honest.hear(2, tickOf(2, 1, true, 7));
  expect(evidenceIn(honest.hear(3, tickOf(2, 1, true, 9)))).toMatchObject([{ what: 'tick' }]);
  const unsigned = createBench();
  unsigned.hear(2, tickOf(2, 1, false, 7));
  expect(evidenceIn(unsigned.hear(3, tickOf(2, 1, true, 9)))).toEqual([]);
  expect(unsigned.isMuted(2)).toBe(true);
});

test('two acknowledgements for one place are evidence only if others can check both', () => {
  const twice = (isSigned: boolean) => {
    const bench = createBench();
    bench.hear(2, tickOf(2, 1, isSigned));
    const other = tickOf(2, 2, true);
    const entries = other.message.entries.map((entry) => ({ ...entry, hash: 'cd'.repeat(32) }));
    const message = { ...other.message, entries };
    const signature = signers[2]?.sign(signingDomain('tick'), signedBytes('tick', message));
    return bench.hear(2, { ...other, message, signature: signature as Uint8Array });
  };
  expect(evidenceIn(twice(true))).toMatchObject([{ what: 'tick' }]);
  expect(evidenceIn(twice(false))).toEqual([]);
});
