import { createSigner, sha256 } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { createAuthenticator } from './authenticator.ts';
import { type Sealed, type Vote, signedBytes, signingDomain } from './messages.ts';
import { SOUND_RULES } from './rules.ts';
import { SlotVotes } from './slot-votes.ts';
import type { EdaEffect } from './types.ts';
import { createValidatorSet } from './validator-set.ts';
import type { SlotContext, VotingHost } from './voting-types.ts';

const CHAIN = 'cc'.repeat(32);
const seeds = Array.from({ length: 4 }, (_, i) => sha256(utf8(`vote ${i}`)));
const signers = seeds.map((seed) => createSigner(seed));
const set = createValidatorSet(
  signers.map(({ publicKey }) => ({ publicKey, weight: 1 })),
  'classic',
);

function createVotes() {
  const [seed] = seeds;
  const [signer] = signers;
  if (!seed || !signer) throw new Error('no signer');
  const auth = createAuthenticator({ signer, seed, payloadRoot: () => undefined });
  return new SlotVotes({ auth, rules: SOUND_RULES } as VotingHost, { set } as SlotContext);
}

function prepareOf(from: number, hash: string, by = from): Sealed<Vote> {
  const message = { chain: CHAIN, era: 0, slot: 1, view: 0, hash };
  const bytes = signedBytes('prepare', message);
  const signature = signers[by]?.sign(signingDomain('prepare'), bytes);
  return { from, message, signature: signature as Uint8Array };
}

test('a PREPARE that was put aside is evidence with one that contradicts it, if it is genuine', () => {
  for (const by of [2, 3]) {
    const votes = createVotes();
    votes.spare(prepareOf(2, 'ab'.repeat(32), by));
    const out: EdaEffect[] = [];
    votes.count('prepare', prepareOf(2, 'cd'.repeat(32)), out);
    expect(out.map(({ kind }) => kind)).toEqual(by === 2 ? ['evidence'] : []);
  }
});
