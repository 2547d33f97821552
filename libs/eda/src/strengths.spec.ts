/** Attestations of small sets: added up, their sum checked, and only what is genuine counted. */
import { createSigner, hashOf } from '#libs/crypto';
import { createAuthenticator } from './authenticator.ts';
import { createBlsSigner } from './bls.ts';
import { type Attest, type Body, type Sealed, signedBytes, signingDomain } from './messages.ts';
import { Roster } from './roster.ts';
import { Seals } from './seals.ts';
import { Strengths } from './strengths.ts';
import { DEFAULT_PARAMETERS, type EdaEffect } from './types.ts';
import { createValidatorSet } from './validator-set.ts';

const CHAIN = 'cc'.repeat(32);
const NOW_US = 1_900_000_000_000_000;
const COUNT = 16;
const seedOf = (i: number) => new Uint8Array(32).fill(i + 1);
const bls = Array.from({ length: COUNT }, (_, i) => createBlsSigner(seedOf(i)));
const signers = Array.from({ length: COUNT }, (_, i) => createSigner(seedOf(i)));
const set = createValidatorSet(
  bls.map(({ publicKey }, i) => ({
    ...{ publicKey: signers[i]?.publicKey ?? '', weight: 1, bls: publicKey },
  })),
  'classic',
);
const attest: Attest = { chain: CHAIN, era: 0, slot: 9, hash: 'ab'.repeat(32) };

const attestedBy = (from: number, message = attest): Sealed<Attest> => ({
  ...{ message, from },
  signature: bls[from]?.sign(signingDomain('attest'), signedBytes('attest', message)) as Uint8Array,
});

/** A validator that has decided the slot and is to hear the others; how many signatures it checked. */
function createBench() {
  const payloadRoot = (payload: Uint8Array) => hashOf('seele/eda-payload/1', payload);
  const [signer] = signers;
  if (!signer) throw new Error('no signer');
  const auth = createAuthenticator({ signer, seed: seedOf(0), bls: [], payloadRoot });
  let checks = 0;
  const verify: typeof auth.bls.verify = (...statement) => {
    checks++;
    return auth.bls.verify(...statement);
  };
  const counted = { ...auth, bls: { ...auth.bls, verify } };
  const roster = new Roster();
  roster.install(0, set);
  const seals = new Seals({ chain: CHAIN, auth: counted }, roster, { me: 0 });
  const strengths = new Strengths(counted.bls, seals, DEFAULT_PARAMETERS);
  const body = { chain: CHAIN, era: 0, slot: 9, timeUs: NOW_US } as Body;
  const cut = { body, hash: attest.hash, beforeUs: 0, set, beacon: new Uint8Array(32) };
  strengths.checkpoint(cut, false, NOW_US, []);
  const hear = (sealed: Sealed<Attest>): EdaEffect[] => {
    const out: EdaEffect[] = [];
    strengths.onAttest(sealed, NOW_US, out);
    return out;
  };
  const late = (): EdaEffect[] => {
    const out: EdaEffect[] = [];
    strengths.wake(NOW_US + 60_000_000, out);
    return out;
  };
  return { hear, late, checks: () => checks };
}

const weights = (effects: readonly EdaEffect[]) =>
  effects.flatMap((effect) => (effect.kind === 'strength' ? [effect.weight] : []));
const full = set.quorum - 1;

test('sixteen attestations cost one check, when all are there', () => {
  const { hear, checks } = createBench();
  const told = Array.from({ length: COUNT }, (_, i) => weights(hear(attestedBy(i)))).flat();
  expect(told).toEqual([full]);
  expect(checks()).toBe(1);
});

test('what is not all is counted a little later', () => {
  const { hear, late, checks } = createBench();
  const told = Array.from({ length: COUNT - 1 }, (_, i) => weights(hear(attestedBy(i)))).flat();
  expect([told, checks()]).toEqual([[], 0]);
  expect(weights(late())).toEqual([full - 1]);
});

test('a forged attestation does not count, and does not keep the genuine one out', () => {
  const { hear, late } = createBench();
  const forged = { ...attestedBy(3), signature: attestedBy(4).signature };
  const others = signers.map((_, i) => attestedBy(i)).filter(({ from }) => from !== 3);
  const heard = [forged, ...others];
  const told = heard.flatMap((sealed) => weights(hear(sealed)));
  expect([...told, ...weights(late())]).toEqual([full - 1]);
  expect(weights(hear(attestedBy(3)))).toEqual([full]);
});

test('two words of one validator are evidence only if both are its own', () => {
  const other = { ...attest, hash: 'cd'.repeat(32) };
  const { hear } = createBench();
  hear(attestedBy(2));
  expect(hear(attestedBy(2, other))).toMatchObject([{ kind: 'evidence', what: 'attest' }]);
  const forged = createBench();
  forged.hear({ ...attestedBy(2), signature: attestedBy(4).signature });
  expect(forged.hear(attestedBy(2, other))).toEqual([]);
  expect(forged.hear(attestedBy(2))).toMatchObject([{ kind: 'evidence' }]);
});
